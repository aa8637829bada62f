//! The exporters that render the same series.

use http_body_util::BodyExt as _;
use metrics::{Key, Label, Level, Metadata, Recorder};
use opentelemetry::{KeyValue, metrics::MeterProvider as _};
use opentelemetry_sdk::metrics::{Instrument, SdkMeterProvider, Stream};
use pinchpoint::Monitor;
use prometheus::{Encoder as _, TextEncoder};
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use std::sync::atomic::AtomicU64;
use tower::ServiceExt as _;

use crate::series::{ACTIVE, DURATION, EDGES, Labels, ORDERS, Recorded, Series};

const HELP: &str = "Of the shop.";

/// An exporter with its series.
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    /// Makes the page, and gives it away part by part.
    pub(crate) scrape: Scrape,
}

type Scrape = Box<dyn Fn(&mut dyn FnMut(&[u8]))>;

/// Returns all of them. Must run inside a tokio runtime.
pub(crate) fn all(series: &[Series]) -> Vec<Contestant> {
    let mut all = pinchpoint(series);
    all.extend([
        metrics_exporter_prometheus(series),
        prometheus_client(series),
        prometheus(series),
        opentelemetry(series),
    ]);
    all
}

fn record(recorder: &impl Recorder, series: &[Series]) {
    static METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);
    for name in [ORDERS, ACTIVE, DURATION] {
        let describe = (name.into(), None, HELP.into());
        match name {
            ORDERS => recorder.describe_counter("shop_orders_total".into(), describe.1, describe.2),
            ACTIVE => recorder.describe_gauge(describe.0, describe.1, describe.2),
            _ => recorder.describe_histogram(describe.0, describe.1, describe.2),
        }
    }
    for Series { name, labels, recorded } in series {
        let labels: Vec<Label> = labels.iter().map(|(name, value)| Label::new(*name, value.clone())).collect();
        match recorded {
            Recorded::Count(count) => {
                let key = Key::from_parts(format!("{name}_total"), labels);
                recorder.register_counter(&key, &METADATA).increment(*count);
            }
            Recorded::Gauge(value) => recorder.register_gauge(&Key::from_parts(*name, labels), &METADATA).set(*value),
            Recorded::Seconds(seconds) => {
                let histogram = recorder.register_histogram(&Key::from_parts(*name, labels), &METADATA);
                seconds.iter().for_each(|seconds| histogram.record(*seconds));
            }
        }
    }
}

/// As one text, and as `/metrics` is sent.
fn pinchpoint(series: &[Series]) -> Vec<Contestant> {
    let monitor = Monitor::builder().max_series(1_000_000).build().expect("inside a runtime, with the defaults");
    let recorder = monitor.recorder();
    record(&recorder, series);
    let router = monitor.router::<()>();
    let request = || axum::http::Request::get("/metrics").body(axum::body::Body::empty()).expect("a valid path");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without I/O");
    let streamed = move |sink: &mut dyn FnMut(&[u8])| {
        runtime.block_on(async {
            let mut body = router.clone().oneshot(request()).await.expect("a router never fails").into_body();
            while let Some(frame) = body.frame().await {
                sink(&frame.expect("a whole body").into_data().unwrap_or_default());
            }
        });
        // The routes live as long as their monitor.
        let _ = &monitor;
    };
    vec![
        Contestant { name: "**Pinchpoint**, `/metrics` as it is sent", scrape: Box::new(streamed) },
        Contestant {
            name: "**Pinchpoint**, `render` into one text",
            scrape: Box::new(move |sink| sink(recorder.render().as_bytes())),
        },
    ]
}

fn metrics_exporter_prometheus(series: &[Series]) -> Contestant {
    let builder = metrics_exporter_prometheus::PrometheusBuilder::new().set_buckets(&EDGES).expect("some edges");
    let recorder = builder.build_recorder();
    record(&recorder, series);
    let handle = recorder.handle();
    // Its histograms keep every observation until then.
    handle.run_upkeep();
    Contestant {
        name: "metrics-exporter-prometheus 0.18",
        scrape: Box::new(move |sink| sink(handle.render().as_bytes())),
    }
}

fn prometheus_client(series: &[Series]) -> Contestant {
    let mut registry = Registry::default();
    let orders = Family::<Labels, Counter>::default();
    let active = Family::<Labels, Gauge<f64, AtomicU64>>::default();
    let durations = Family::<Labels, Histogram>::new_with_constructor(|| Histogram::new(EDGES));
    registry.register(ORDERS, HELP, orders.clone());
    registry.register(ACTIVE, HELP, active.clone());
    registry.register(DURATION, HELP, durations.clone());
    for Series { labels, recorded, .. } in series {
        match recorded {
            Recorded::Count(count) => _ = orders.get_or_create(labels).inc_by(*count),
            Recorded::Gauge(value) => _ = active.get_or_create(labels).set(*value),
            Recorded::Seconds(seconds) => {
                let histogram = durations.get_or_create(labels);
                seconds.iter().for_each(|seconds| histogram.observe(*seconds));
            }
        }
    }
    let scrape = move |sink: &mut dyn FnMut(&[u8])| {
        let mut page = String::new();
        encode(&mut page, &registry).expect("writing to a text never fails");
        sink(page.as_bytes());
    };
    Contestant { name: "prometheus-client 0.25", scrape: Box::new(scrape) }
}

/// The page of a registry of the crate prometheus.
fn encoded(registry: prometheus::Registry) -> Scrape {
    Box::new(move |sink| {
        let mut page = Vec::new();
        TextEncoder::new().encode(&registry.gather(), &mut page).expect("writing to a Vec never fails");
        sink(&page);
    })
}

fn prometheus(series: &[Series]) -> Contestant {
    let registry = prometheus::Registry::new();
    let names = |name: &str| {
        let of = series.iter().find(|series| series.name == name).expect("each metric has series");
        of.labels.iter().map(|(name, _)| *name).collect::<Vec<_>>()
    };
    let opts = |name: &str| prometheus::Opts::new(name, HELP);
    let valid = "a valid metric";
    let orders = prometheus::IntCounterVec::new(opts("shop_orders_total"), &names(ORDERS)).expect(valid);
    let active = prometheus::GaugeVec::new(opts(ACTIVE), &names(ACTIVE)).expect(valid);
    let histogram = prometheus::HistogramOpts::new(DURATION, HELP).buckets(EDGES.to_vec());
    let durations = prometheus::HistogramVec::new(histogram, &names(DURATION)).expect(valid);
    registry.register(Box::new(orders.clone())).expect(valid);
    registry.register(Box::new(active.clone())).expect(valid);
    registry.register(Box::new(durations.clone())).expect(valid);
    for Series { labels, recorded, .. } in series {
        let values: Vec<&str> = labels.iter().map(|(_, value)| value.as_str()).collect();
        match recorded {
            Recorded::Count(count) => orders.with_label_values(&values).inc_by(*count),
            Recorded::Gauge(value) => active.with_label_values(&values).set(*value),
            Recorded::Seconds(seconds) => {
                let histogram = durations.with_label_values(&values);
                seconds.iter().for_each(|seconds| histogram.observe(*seconds));
            }
        }
    }
    Contestant { name: "prometheus 0.14", scrape: encoded(registry) }
}

fn opentelemetry(series: &[Series]) -> Contestant {
    let registry = prometheus::Registry::new();
    let exporter = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .without_target_info()
        .scope_info_enabled(false)
        .build()
        .expect("a valid exporter");
    let limit = series.len() + 1;
    // The default limit is 2,000 series a metric.
    let view = move |_: &Instrument| Stream::builder().with_cardinality_limit(limit).build().ok();
    let provider = SdkMeterProvider::builder().with_reader(exporter).with_view(view).build();
    let meter = provider.meter("shop");
    let orders = meter.u64_counter(ORDERS).with_description(HELP).build();
    let active = meter.f64_gauge(ACTIVE).with_description(HELP).build();
    let durations = meter.f64_histogram(DURATION).with_description(HELP).with_boundaries(EDGES.to_vec()).build();
    for Series { labels, recorded, .. } in series {
        let labels: Vec<KeyValue> = labels.iter().map(|(name, value)| KeyValue::new(*name, value.clone())).collect();
        match recorded {
            Recorded::Count(count) => orders.add(*count, &labels),
            Recorded::Gauge(value) => active.record(*value, &labels),
            Recorded::Seconds(seconds) => seconds.iter().for_each(|seconds| durations.record(*seconds, &labels)),
        }
    }
    let scrape = encoded(registry);
    let scrape = move |sink: &mut dyn FnMut(&[u8])| {
        scrape(sink);
        // Its instruments live as long as their provider.
        let _ = &provider;
    };
    Contestant { name: "opentelemetry-prometheus 0.33", scrape: Box::new(scrape) }
}
