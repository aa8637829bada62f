//! [`MonitorBuilder`].

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use metrics::Recorder;
use tokio::time::Instant;

#[cfg(feature = "deliver")]
use super::deliver::Prepared;
use super::{
    Access, BuildError, Control, Core, Monitor, Settings,
    background::Background,
    clock::WallClock,
    config::{Config, Interval, OutOfRange, RulesSource, Sampling},
    core::Parts,
    fanout::Fanout,
    reload::RulesWatch,
    samplers::Samplers,
    settings::{self, host_name},
};
use crate::{
    context::{
        self, Database, DynRecorder, Glob, Instruments, Limits, UrlScheme,
        methods::{self, KnownMethods},
    },
    http::RouteFrom,
    names,
    rules::RuleSet,
    sample::{CpuSampler, DescriptorSampler, PoolSampler, ProcessSampler, RuntimeSampler, Sampler, WatchedPools},
    store::MonitorRecorder,
};

/// Configures a [`Monitor`]. Every setting has a default; [`Settings`] reads them from a file and the environment.
///
/// No method but [`build`](Self::build) and [`install`](Self::install) fails: a value out of its range is reported there,
/// unless a later call of the same method replaces it.
///
/// ```
/// use std::time::Duration;
/// use pinchpoint::Monitor;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), pinchpoint::BuildError> {
/// let monitor = Monitor::builder()
///     .evaluation_interval(Duration::from_secs(2))
///     .ignore_path("/health*")
///     .build()?;
/// # Ok(()) }
/// ```
#[must_use = "a builder does nothing until `install` or `build`"]
pub struct MonitorBuilder {
    pub(super) config: Config,
    /// Values out of their range, by setting, for [`build`](Self::build) to report.
    refused: BTreeMap<&'static str, OutOfRange>,
    samplers: Samplers,
    host: Option<DynRecorder>,
    export: Option<DynRecorder>,
    route: Option<RouteFrom>,
}

impl std::fmt::Debug for MonitorBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MonitorBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Default for MonitorBuilder {
    fn default() -> Self {
        let (config, refused) = (Config::default(), BTreeMap::new());
        Self { config, refused, samplers: Samplers::default(), host: None, export: None, route: None }
    }
}

/// Here, and not beside the rest of [`Monitor`], so that only the builder knows both types.
impl Monitor {
    /// Returns a builder with the defaults.
    pub fn builder() -> MonitorBuilder {
        MonitorBuilder::default()
    }
}

impl MonitorBuilder {
    /// Reads the rules from the `*.yaml` and `*.yml` files of a directory, and again whenever they change. By default the
    /// rules that are compiled in apply.
    ///
    /// [`build`](Self::build) fails where a file is wrong. A later edit that is wrong changes nothing:
    /// `/performance/status` reports what is wrong with it, and the previous rules stay in force.
    pub fn rules_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.config.rules = RulesSource::Directory(directory.into());
        self
    }

    /// Adds a reader of something that the monitor does not measure itself, such as the length of a queue. It is called
    /// at every [`sampling_interval`](Self::sampling_interval), and with
    /// [`without_sampling`](Self::without_sampling) at every [`evaluation_interval`](Self::evaluation_interval).
    pub fn sampler(mut self, sampler: impl Sampler + 'static) -> Self {
        self.samplers.push(sampler);
        self
    }

    /// Sets the time between two evaluations of the rules. 5 s by default: a window of 5 min then has 60 steps.
    ///
    /// From 100 ms, where an evaluation of 1,000 endpoints takes up to a tenth of a core, to 1 min, since trends are kept
    /// by the minute.
    pub fn evaluation_interval(self, interval: Duration) -> Self {
        let interval = Interval::try_from(interval);
        self.set("evaluation_interval", interval, |config, interval| config.evaluation_interval = interval)
    }

    /// Sets the time between two reads of memory, CPU, file descriptors and the runtime. 5 s by default, from 100 ms to
    /// 1 min.
    pub fn sampling_interval(self, interval: Duration) -> Self {
        let sampling = Interval::try_from(interval).map(Sampling::Every);
        self.set("sampling_interval", sampling, |config, sampling| config.sampling = sampling)
    }

    /// Does not read the process and the runtime: there are no metrics of memory, CPU and file descriptors, and rules about
    /// them find nothing. Samplers of your own are read at every evaluation.
    pub fn without_sampling(self) -> Self {
        self.set("sampling_interval", Ok(Sampling::Off), |config, sampling| config.sampling = sampling)
    }

    /// Sets how many series are kept. 10,000 by default. Further ones fold into `other`, and
    /// `pinchpoint_series_dropped_total` counts them.
    pub fn max_series(mut self, series: usize) -> Self {
        self.config.max_series = series;
        self
    }

    /// Sets how many query fingerprints, and how many task names, are kept. 1,000 of each by default. Further ones fold into
    /// `other`, and `pinchpoint_series_dropped_total` counts them.
    ///
    /// Names that the service makes up at run time do not blind the monitor: the last quarter of the places is for names
    /// that come a second time, and when all are taken, names that were not used for 5 min give theirs back. Once no window of a
    /// rule contains their series any more, these disappear from `/metrics`, and begin at 0 should the name come again.
    pub fn max_fingerprints(mut self, fingerprints: usize) -> Self {
        self.config.max_fingerprints = fingerprints;
        self
    }

    /// Sets how many pairs of an endpoint and a statement `/metrics` shows, 1,000 by default: those that take the most time. The
    /// calls of the others count as the statement `other` of their endpoint. Rules and findings see every pair.
    pub fn max_pairs(mut self, pairs: usize) -> Self {
        self.config.max_pairs = pairs;
        self
    }

    /// Sets how many of the slowest requests of each endpoint are kept whole, with their timelines, as evidence. 10 by
    /// default; 0 keeps none.
    pub fn slow_requests(mut self, requests: usize) -> Self {
        self.config.slow_requests = requests;
        self
    }

    /// Sets how far back `/performance/trends` and the error budgets of objectives reach, from an hour to 92 days. A week by
    /// default, the most that `/performance/trends` shows: the last day by the minute, older times by the half hour. An error
    /// budget of 30 days is whole after a restart if this is 31 days and there is a history file.
    pub fn retention(self, retention: Duration) -> Self {
        self.set("retention", retention.try_into(), |config, retention| config.retention = retention)
    }

    /// Sets how much memory the windows of the rules and the trends may take together, in bytes, at least 1,000,000. 64 MB
    /// by default, which holds both for 1,000 routes, with a day by the minute.
    ///
    /// The trends may use what the windows leave, and always a quarter. Past it the oldest minutes are merged into half
    /// hours, and then the oldest half hours are dropped. `/performance/status` reports how much each takes.
    pub fn history_bytes(self, bytes: usize) -> Self {
        self.set("history_bytes", bytes.try_into(), |config, bytes| config.history_bytes = bytes)
    }

    /// Keeps the trends in a file, so that they survive a restart, and each version's latencies with them; see
    /// [`service`](Self::service). By default they are kept in memory only.
    ///
    /// The file is read when the monitor is built; a full week of 1,000 routes takes some tenths of a second. It is written
    /// every half minute and at [`shutdown`](Monitor::shutdown), all of it or nothing: a process or a machine that dies
    /// loses the last minute at most, also with the longest evaluation interval, and never the file.
    ///
    /// A full disk, a file in use by another process and a broken file never stop the service:
    /// `/performance/status` and `pinchpoint_archive_errors_total` report them, and the file is tried again every minute. A
    /// broken file is renamed to `….broken` and a new one begun. A file of another program or of a later release is left as
    /// it is. Only two things are ever deleted: what is older than [`retention`](Self::retention), and what
    /// `DELETE /performance/clear-data` clears.
    ///
    /// ```no_run
    /// use pinchpoint::Monitor;
    ///
    /// let builder = Monitor::builder()
    ///     .history_file("/var/lib/shop/pinchpoint.redb")
    ///     .service("shop", env!("CARGO_PKG_VERSION"));
    /// ```
    #[cfg(feature = "archive")]
    pub fn history_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.config.history_file = Some(path.into());
        self
    }

    /// Sets the name of the service and its version, which `target_info` shows. With a [`history_file`](Self::history_file),
    /// `GET /performance/comparison` compares the version with the one before it, and reports which routes got slower or
    /// faster.
    ///
    /// Without it, `target_info` has them from OpenTelemetry's variables `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`
    /// (`service.name`, `service.version`), and is absent where these name no service.
    pub fn service(mut self, name: impl Into<Arc<str>>, version: impl Into<Arc<str>>) -> Self {
        self.config.service_name = Some(name.into());
        self.config.service_version = Some(version.into());
        self
    }

    /// Sets which process of the service this is, the label `service_instance_id` of `target_info`. By default the
    /// `service.instance.id` of `OTEL_RESOURCE_ATTRIBUTES`, or else a random UUID for each process.
    pub fn service_instance_id(mut self, id: impl Into<Arc<str>>) -> Self {
        self.config.service_instance_id = Some(id.into());
        self
    }

    /// Leaves out requests whose route template matches `glob`, in which `*` stands for any run of characters, also none.
    /// Each call adds a pattern.
    pub fn ignore_path(mut self, glob: impl AsRef<str>) -> Self {
        self.config.ignored_paths.push(Glob::new(glob.as_ref()));
        self
    }

    /// Sets the label `db_system_name` of queries, to one of OpenTelemetry's names: `postgresql`, `mysql`, `sqlite`, …
    /// `other_sql` by default.
    pub fn db_system(mut self, name: impl Into<Arc<str>>) -> Self {
        self.config.database = self.config.database.system(name);
        self
    }

    /// Sets the database of queries that name none: those that `SqlxLayer` sees, and those that are tracked
    /// without [`TrackDbQuery::on`](crate::TrackDbQuery::on). Its name and server become the labels `db_namespace` and
    /// `server_address`; none by default, as no driver says them.
    pub fn database(mut self, database: Database) -> Self {
        self.config.database = database;
        self
    }

    /// Sets what the label `url_scheme` of requests says. [`UrlScheme::FromRequest`] by default.
    pub fn url_scheme(mut self, scheme: UrlScheme) -> Self {
        self.config.url_scheme = scheme;
        self
    }

    /// Sets the request methods that have series of their own, 1 to 64 of at most 32 characters, instead of those of the HTTP
    /// standards: GET, POST, PUT, DELETE, PATCH, HEAD, OPTIONS, TRACE, CONNECT and QUERY. Methods differ by case; all others
    /// share `_OTHER`. Without this, the variable `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS` of OpenTelemetry sets them, a list with
    /// commas; one that cannot be read changes nothing, and the log has a warning.
    ///
    /// ```
    /// use pinchpoint::Monitor;
    ///
    /// let builder = Monitor::builder().known_methods(["GET", "PUT", "PROPFIND", "MKCOL"]);
    /// # drop(builder);
    /// ```
    pub fn known_methods(self, methods: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let methods: Vec<String> = methods.into_iter().map(|method| method.as_ref().to_owned()).collect();
        let known = KnownMethods::listed(methods.iter().map(|method| &**method));
        let found = || OutOfRange { found: format!("{:?}", methods.join(",")), expected: methods::EXPECTED };
        self.set("known_methods", known.ok_or_else(found), |config, known| config.known_methods = Some(known))
    }

    /// Sets who may use the control endpoints. By default every request to them is refused.
    pub fn control(self, control: Control) -> Self {
        self.set("control", control.checked(), |config, control| config.control = control)
    }

    /// Sets who may read `/metrics`. By default every client that reaches the route.
    pub fn metrics_access(self, access: Access) -> Self {
        self.set("metrics_access", access.checked(), |config, access| config.metrics_access = access)
    }

    /// Sets who may read `/performance` and what is below it. By default every client that reaches these routes. Control is
    /// apart: [`control`](Self::control).
    pub fn performance_access(self, access: Access) -> Self {
        self.set("performance_access", access.checked(), |config, access| config.performance_access = access)
    }

    /// Adds a name, without a port, under which the monitor's routes are reached: besides addresses and `localhost`, which always
    /// are allowed. It matters for [`Control::Open`] and [`Control::Loopback`], and for reading on an address of the loopback
    /// interface: a site that lets a name of its own point there (DNS rebinding) would otherwise count as the same origin.
    pub fn allow_host(mut self, name: impl AsRef<str>) -> Self {
        self.config.allowed_hosts.push(host_name(name.as_ref()));
        self
    }

    /// Applies every setting that `settings` has. Each replaces the builder's value, but `ignore_paths` and `allowed_hosts` are
    /// added to it.
    pub fn settings(mut self, settings: Settings) -> Self {
        for key in settings.put_into(&mut self.config) {
            self.refused.remove(settings::of_token(key));
        }
        self
    }

    /// Keeps a recorder of your own beside the monitor's: with [`install`](Self::install), what the process records through
    /// the `metrics` macros goes to both. What the monitor measures goes to its own alone, unless
    /// [`export_to`](Self::export_to) names yours too. Each call adds a recorder. [`build`](Self::build) leaves the macros alone,
    /// and with them this recorder.
    ///
    /// ```standalone_crate
    /// # use metrics_exporter_prometheus::PrometheusBuilder;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), pinchpoint::BuildError> {
    /// let host = PrometheusBuilder::new().build_recorder();
    /// let page = host.handle();
    /// let monitor = pinchpoint::Monitor::builder().with_recorder(host).install()?;
    ///
    /// metrics::counter!("orders_total").increment(1);
    /// assert!(page.render().contains("orders_total 1") && monitor.recorder().render().contains("orders_total 1"));
    /// assert!(!page.render().contains("build_info"), "what the monitor measures");
    /// # Ok(()) }
    /// ```
    pub fn with_recorder(mut self, recorder: impl Recorder + Send + Sync + 'static) -> Self {
        self.host = Some(joined(self.host, Arc::new(recorder)));
        self
    }

    /// Writes what the monitor measures to a recorder of yours too, under the same names. It needs no
    /// [`install`](Self::install). Each call adds a recorder.
    ///
    /// For both directions pass one recorder twice, in an `Arc`: `with_recorder(host.clone()).export_to(host)`. In the page of
    /// metrics-exporter-prometheus durations are summaries, unless its builder sets buckets. What is made when the monitor's page
    /// is read, or counted for its windows, is on that page alone: the counters by outcome, `pinchpoint_endpoint_*`, and the parts
    /// of tasks.
    pub fn export_to(mut self, recorder: impl Recorder + Send + Sync + 'static) -> Self {
        self.export = Some(joined(self.export, Arc::new(recorder)));
        self
    }

    /// Takes the route template of a request from its extensions, where neither this axum's `MatchedPath` nor a
    /// [`RouteTemplate`](crate::RouteTemplate) is among them: of another version of axum, or of another router. Called for every
    /// such request, so it should only look. Return a template, never a raw path: it becomes a label.
    ///
    /// ```
    /// use pinchpoint::Monitor;
    ///
    /// /// What another router leaves in the extensions, such as `axum07::extract::MatchedPath`.
    /// #[derive(Clone)]
    /// struct Matched(String);
    ///
    /// let builder = Monitor::builder().route_from(|extensions| Some(extensions.get::<Matched>()?.0.as_str()));
    /// # drop(builder);
    /// ```
    pub fn route_from(
        mut self,
        route: impl for<'a> Fn(&'a http::Extensions) -> Option<&'a str> + Send + Sync + 'static,
    ) -> Self {
        self.route = Some(RouteFrom::new(route));
        self
    }

    /// Builds the monitor and starts its background work. Changes nothing global: queries and tasks are counted within
    /// requests that pass [`Monitor::layer`], and the `metrics` macros record where they did before.
    ///
    /// # Errors
    ///
    /// Returns an error outside a tokio runtime, for a setting out of its range, and for wrong rule files, with every
    /// problem in them.
    pub fn build(self) -> Result<Monitor, BuildError> {
        self.assemble().map(|(monitor, _)| monitor)
    }

    /// Builds the monitor and makes it the process's own: the global `metrics` recorder, and the monitor that counts
    /// queries and tasks outside any request.
    ///
    /// # Errors
    ///
    /// Returns an error as [`build`](Self::build) does, and where the process already has a recorder.
    ///
    /// ```standalone_crate
    /// use pinchpoint::{BuildError, Monitor};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BuildError> {
    /// let monitor = Monitor::builder().install()?;
    /// let second = Monitor::builder().install();
    /// assert!(matches!(second, Err(BuildError::RecorderInstalled)));
    /// # Ok(()) }
    /// ```
    pub fn install(self) -> Result<Monitor, BuildError> {
        let (monitor, recorder) = self.assemble()?;
        metrics::set_global_recorder(recorder).map_err(|_| BuildError::RecorderInstalled)?;
        context::install(monitor.core().instruments().clone());
        Ok(monitor)
    }

    /// Returns the monitor, and the recorder that [`install`](Self::install) makes the process's.
    fn assemble(self) -> Result<(Monitor, DynRecorder), BuildError> {
        if let Some((setting, OutOfRange { found, expected })) = self.refused.into_iter().next() {
            return Err(BuildError::Setting { setting, found, expected });
        }
        let config = self.config;
        #[cfg(feature = "deliver")]
        let prepared = Prepared::of(&config)?;
        // quanta calibrates its clock on first use, which takes half a millisecond: here, not in the first request.
        let _ = quanta::Instant::now();
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
        let (watch, rules) = match &config.rules {
            RulesSource::Embedded => (None, RuleSet::embedded()),
            RulesSource::Directory(directory) => {
                let (watch, rules) = RulesWatch::open(directory.clone())?;
                (Some(watch), rules)
            }
        };
        let own = MonitorRecorder::new(config.max_series, rules.duration_thresholds())
            .with_max_pairs(config.max_pairs)
            .with_tallies();
        let beside = |other| joined(other, Arc::new(own.clone()));
        let (recorder, process_recorder) = (beside(self.export), beside(self.host));
        let of_environment = || KnownMethods::of_environment(|variable| std::env::var_os(variable));
        let limits = Limits {
            routes: config.max_series,
            fingerprints: config.max_fingerprints,
            slow_requests: config.slow_requests,
            ignored: config.ignored_paths.clone(),
            database: config.database.clone(),
            methods: config.known_methods.clone().unwrap_or_else(of_environment),
            scheme: config.url_scheme,
        };
        let in_flight = {
            let own = own.clone();
            Box::new(move || own.gauge_sum(names::HTTP_ACTIVE.name))
        };
        let instruments = Instruments::new(recorder.clone(), Arc::new(own.clone()), limits, in_flight);
        let pools = WatchedPools::new(instruments.clone());
        let mut samplers = Samplers::default();
        samplers.push(PoolSampler(pools.clone()));
        if config.sampling != Sampling::Off {
            samplers.push(ProcessSampler::new(recorder.clone()));
            samplers.push(CpuSampler::new(recorder.clone()));
            samplers.push(DescriptorSampler::new(recorder.clone()));
            samplers.push(RuntimeSampler::new(&recorder, &runtime));
        }
        samplers.append(self.samplers);
        let background =
            Background::start(watch, samplers, instruments.polls().clone(), &runtime).map_err(BuildError::Thread)?;
        let core = {
            let started = Instant::now();
            let clock = WallClock::starting(started);
            Core::new(Parts { instruments, recorder: own, config, rules, pools, started, clock })
        };
        if background.watches_rules() {
            core.show_reload();
        }
        let monitor = Monitor::start(core, background, &runtime, self.route);
        #[cfg(feature = "deliver")]
        monitor.deliver(prepared, &runtime);
        Ok((monitor, process_recorder))
    }

    /// Puts a value into the configuration, or keeps the error for [`build`](Self::build).
    pub(super) fn set<T>(
        mut self,
        setting: &'static str,
        value: Result<T, OutOfRange>,
        put: impl FnOnce(&mut Config, T),
    ) -> Self {
        match value {
            Ok(value) => {
                self.refused.remove(setting);
                put(&mut self.config, value);
            }
            Err(error) => drop(self.refused.insert(setting, error)),
        }
        self
    }
}

/// Returns a recorder that writes to both.
fn joined(one: Option<DynRecorder>, other: DynRecorder) -> DynRecorder {
    match one {
        None => other,
        Some(one) => Arc::new(Fanout(other, one)),
    }
}
