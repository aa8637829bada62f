//! A real Prometheus server, and what it has of our series.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use super::{
    Samples,
    program::program,
    server::{Server, free_address},
};

/// How often a test looks, with a pause of 50 ms, before it gives up.
pub(crate) const LOOKS: u32 = 2_000;
/// The log of Prometheus, in its data directory.
const LOG: &str = "log";

/// Finds Prometheus or promtool.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    program(name, "Debian package prometheus", &[])
}

/// A Prometheus server for one test; dropping it stops the server.
pub(crate) struct Prometheus {
    _server: Server,
    address: SocketAddr,
    data: tempfile::TempDir,
}

impl Prometheus {
    /// Starts the server on a scrape configuration, with further arguments.
    pub(crate) fn start(program: &Path, configuration: &str, arguments: &[&str]) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let file = data.path().join("prometheus.yml");
        std::fs::write(&file, configuration).expect("writes");
        let address = free_address();
        let server = Command::new(program)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", data.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(data.path().join(LOG)).expect("writes"))
            .spawn()
            .expect("Prometheus starts");
        Self { _server: Server(server), address, data }
    }

    /// Panics where Prometheus logged a warning or an error about the scrapes.
    pub(crate) fn assert_no_complaints(&self) {
        let log = std::fs::read_to_string(self.data.path().join(LOG)).expect("it writes a log");
        assert!(log.contains("Server is ready"), "{log}");
        let levels = ["level=warn", "level=error"];
        let said: Vec<&str> = log
            .lines()
            .filter(|line| line.contains("scrape") && levels.iter().any(|level| line.to_lowercase().contains(level)))
            .collect();
        assert_eq!(said, [] as [&str; 0]);
    }

    /// Waits until Prometheus has exactly our series of these names, with our values.
    pub(crate) async fn agrees(&self, names: &str, ours: impl Fn() -> Samples) {
        let mut differences = Vec::new();
        for _ in 0..LOOKS {
            let theirs = self.query(&format!("{{__name__=~\"{names}\"}}")).await;
            let theirs: BTreeMap<_, f64> = theirs.iter().map(|(metric, value)| (labels_of(metric), *value)).collect();
            let families: BTreeSet<&str> =
                theirs.keys().filter_map(|labels| labels.get("__name__")).map(|name| &**name).collect();
            let samples = ours();
            let ours: BTreeMap<_, f64> = samples.all().map(|(series, value)| (parsed(series), value)).collect();
            let ours = ours.into_iter().filter(|(labels, _)| families.contains(&*labels["__name__"]));
            let ours: BTreeMap<_, f64> = ours.collect();
            let keys: BTreeSet<_> = theirs.keys().chain(ours.keys()).collect();
            let same = |key: &Labels| match (theirs.get(key), ours.get(key)) {
                (Some(theirs), Some(ours)) => (theirs - ours).abs() <= 1e-9 * ours.abs(),
                _ => false,
            };
            differences = keys
                .into_iter()
                .filter(|key| !same(key))
                .map(|key| format!("{key:?}: {:?} and not {:?}", theirs.get(key), ours.get(key)))
                .collect();
            if differences.is_empty() && ours.len() > 50 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{}", differences.join("\n"));
    }

    pub(crate) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Option<Value> {
        let url = format!("http://{}{path}", self.address);
        let answer = reqwest::Client::new().get(url).query(query).send().await.ok()?;
        answer.json().await.ok()
    }

    /// Waits until a query has values, and returns them with their labels.
    pub(crate) async fn query(&self, query: &str) -> Vec<(Value, f64)> {
        for _ in 0..LOOKS {
            if let Some(answer) = self.get("/api/v1/query", &[("query", query)]).await
                && let Some(result) = answer["data"]["result"].as_array().filter(|result| !result.is_empty())
            {
                let value =
                    |one: &Value| one["value"][1].as_str().and_then(|value| value.parse().ok()).expect("a number");
                return result.iter().map(|one| (one["metric"].clone(), value(one))).collect();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("Prometheus has no answer to {query}");
    }

    /// Waits until `query` has one value, `expected`.
    pub(crate) async fn settles(&self, query: &str, expected: f64) {
        let mut last = f64::NAN;
        for _ in 0..LOOKS {
            last = self.query(query).await[0].1;
            if (last - expected).abs() <= 1e-9 * expected.abs() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{query} is {last}, not {expected}");
    }
}

/// A series' name and labels, without the labels that a scrape adds.
pub(crate) type Labels = BTreeMap<String, String>;

pub(crate) fn labels_of(metric: &Value) -> Labels {
    let labels = metric.as_object().expect("labels").iter();
    let labels = labels.map(|(name, value)| (name.clone(), value.as_str().expect("a text").to_owned()));
    labels.filter(|(name, _)| !["instance", "job"].contains(&&**name)).collect()
}

/// Reads a series as the text format spells it.
pub(crate) fn parsed(series: &str) -> Labels {
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let mut all = Labels::from([("__name__".to_owned(), name.to_owned())]);
    let mut rest = labels.trim_end_matches('}');
    while let Some((name, value)) = rest.split_once("=\"") {
        let (mut text, mut letters) = (String::new(), value.char_indices());
        rest = loop {
            match letters.next().expect("a value ends") {
                (_, '\\') => match letters.next().expect("an escaped letter").1 {
                    'n' => text.push('\n'),
                    letter => text.push(letter),
                },
                (end, '"') => break value[end + 1..].trim_start_matches(','),
                (_, letter) => text.push(letter),
            }
        };
        // Prometheus drops labels with an empty value.
        if !text.is_empty() {
            all.insert(name.to_owned(), text);
        }
    }
    all
}
