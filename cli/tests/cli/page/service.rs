//! Services of the test itself: one with hostile names, whose monitor may take a token.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, extract::Request, middleware};
use pinchpoint::{Access, Monitor, MonitorBuilder, RouteTemplate, track_async_task, track_db_query};

use crate::a_sick_shop::demo::impatient_rules;

/// Names that would be markup, code or a picture of another name if a page took them for more than text.
pub(super) const ROUTE: &str = "/<script>alert(1)</script>/\"quoted\"/'too'/&lt;";
pub(super) const TASK: &str = "<img src=x onerror=alert(2)>";
/// A right-to-left override, which would turn around all that follows it.
const TURNED: &str = "/turned\u{202e}gnp.exe";

/// Returns a query of 10 kB with markup in it.
fn query() -> String {
    let columns: Vec<String> = (0..700).map(|n| format!("column_{n:04}")).collect();
    format!("SELECT \"<b>\", {} FROM \"<script>alert(3)</script>\"", columns.join(", "))
}

/// A service that ends with the test.
pub(super) struct Service {
    pub(super) base: String,
    monitor: Monitor,
    _rules: tempfile::TempDir,
}

impl Service {
    /// Starts a service whose names are hostile and which is sick under all of them, and waits until its monitor says so.
    pub(super) async fn hostile(settings: impl FnOnce(MonitorBuilder) -> MonitorBuilder) -> Self {
        let rules = impatient_rules(&[]);
        let builder = Monitor::builder().rules_dir(rules.path()).evaluation_interval(Duration::from_secs(1));
        let monitor = settings(builder).build().unwrap();
        let work = |time| async move {
            tokio::time::sleep(time).await;
            Ok::<_, std::io::Error>(())
        };
        let handler = move || async move {
            track_db_query(query(), work(Duration::from_millis(700))).await.unwrap();
            track_async_task(TASK, work(Duration::from_millis(600))).await.unwrap();
        };
        let name = |mut request: Request| async move {
            let route = if request.uri().path() == "/turned" { TURNED } else { ROUTE };
            request.extensions_mut().insert(RouteTemplate::new(route));
            request
        };
        let named = Router::new().fallback(handler).layer(monitor.layer()).layer(middleware::map_request(name));
        let base = serve(named.merge(monitor.router())).await;
        let requests = (0..40).map(|at| format!("{base}/{}", if at % 2 == 0 { "turned" } else { "script" }));
        let requests: Vec<_> = requests.map(|url| tokio::spawn(reqwest::get(url))).collect();
        for request in requests {
            request.await.unwrap().unwrap();
        }
        let service = Self { base, monitor, _rules: rules };
        while service.findings() < 4 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        service
    }

    fn findings(&self) -> usize {
        let metrics = self.monitor.recorder().render();
        metrics.lines().filter(|line| line.starts_with("pinchpoint_bottleneck{") && line.ends_with(" 1")).count()
    }
}

/// Returns the settings of a monitor that reads with a token.
pub(super) fn guarded(builder: MonitorBuilder) -> MonitorBuilder {
    builder.performance_access(Access::token("se:cret"))
}

/// Serves a router on a free port of this machine.
pub(super) async fn serve(app: Router) -> String {
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}
