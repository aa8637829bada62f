//! The runner: starts the services, drives their traffic, reads the findings, and judges.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    sync::Arc,
    time::Duration,
};

use futures_util::future::{join, join_all};
use serde_json::{Value, json};
use tokio::{
    sync::{RwLock, Semaphore},
    time::{Instant, sleep, timeout},
};

use crate::{
    arguments::Arguments,
    client::Client,
    judge::{Judgement, Seen},
    postgres::Postgres,
    service,
    spin::{Neighbours, command},
    table,
    truth::Truth,
    upstream,
};

/// Time between two looks at the findings.
const LOOK: Duration = Duration::from_millis(700);
/// Time after which an answer of the monitor is not waited for any longer.
const ANSWER: Duration = Duration::from_secs(5);

/// Slowness from which it is right to say that a service has too little processor time.
const STARVED: f64 = 1.3;

/// What the services share.
struct Machine {
    upstream: SocketAddr,
    postgres: Option<Postgres>,
    /// Services at the same time, long ones aside.
    places: Semaphore,
    /// Held by all readers while they run beside others, and by the one writer that runs alone.
    quiet: RwLock<()>,
}

/// Runs the services and prints the table. Fails where the monitor is wrong about one that it is known to be right about.
pub(crate) fn run(truths: Vec<Truth>, arguments: &Arguments) -> ExitCode {
    if truths.is_empty() {
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let judged = runtime.block_on(async {
        tokio::select! {
            judged = judge(truths, arguments) => judged,
            // What was started ends when it is dropped.
            _ = tokio::signal::ctrl_c() => Vec::new(),
        }
    });
    let wrong = table::print(&judged);
    if judged.is_empty() || wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

async fn judge(truths: Vec<Truth>, arguments: &Arguments) -> Vec<Judgement> {
    let neighbours = if arguments.busy { std::thread::available_parallelism().map_or(2, usize::from) } else { 0 };
    let _neighbours = Neighbours::start(neighbours, None);
    let postgres = match truths.iter().any(|truth| truth.needs.postgres) {
        true => Postgres::start().await,
        false => None,
    };
    if let Some(postgres) = &postgres {
        // Returns once the server accepts connections.
        postgres.pool().await.close().await;
    }
    let machine = Arc::new(Machine {
        upstream: upstream::start().await,
        postgres,
        places: Semaphore::new(arguments.jobs),
        quiet: RwLock::default(),
    });
    let (long, short): (Vec<_>, Vec<_>) = truths.into_iter().partition(Truth::is_long);
    let (alone, beside): (Vec<_>, Vec<_>) = short.into_iter().partition(|truth| truth.needs.alone);
    let long = join_all(long.into_iter().map(|truth| machine.run(truth)));
    let beside = join_all(beside.into_iter().map(|truth| machine.run_in_a_place(truth)));
    let short = async {
        let mut judged = beside.await;
        for truth in alone {
            judged.push(machine.run(truth).await);
        }
        judged
    };
    let (long, mut judged) = join(long, short).await;
    judged.extend(long);
    judged
}

impl Machine {
    async fn run_in_a_place(&self, truth: Truth) -> Judgement {
        let _place = self.places.acquire().await.expect("never closed");
        let _beside = self.quiet.read().await;
        self.run(truth).await
    }

    async fn run(&self, truth: Truth) -> Judgement {
        if truth.needs.postgres && self.postgres.is_none() {
            return Judgement::broken(truth, "PostgreSQL is not installed".to_owned());
        }
        let _neighbours = Neighbours::start(truth.needs.neighbours, Some(0));
        let service = match Service::start(&truth, self) {
            Ok(service) => service,
            Err(why) => return Judgement::broken(truth, why),
        };
        let (mut seen, mut last) = (Seen::default(), Value::Null);
        let until = Instant::now() + truth.lasts;
        let looks = async {
            while Instant::now() < until {
                sleep(LOOK.min(truth.lasts)).await;
                if let Some(answer) = service.get("/performance/bottlenecks?evidence=full&limit=1000").await {
                    seen.add(&answer);
                    last = answer;
                }
            }
        };
        let traffic = (truth.traffic)(Client::new(service.address));
        tokio::select! {
            () = looks => {}
            () = async { traffic.await; std::future::pending().await } => {}
        }
        if last.is_null() {
            return Judgement::broken(truth, "the monitor did not answer".to_owned());
        }
        let slowness = service.slowness();
        save(
            truth.name,
            &json!({
                "about": truth.about,
                "slowness": slowness,
                "bottlenecks": seen.findings().collect::<Vec<_>>(),
                "pending": last["pending"],
                "endpoints": service.get("/performance/endpoints").await,
            }),
        );
        let judged = Judgement::of(truth, &seen, slowness > STARVED);
        table::print_one(&judged);
        judged
    }
}

/// Writes what was found in a service to a file for people.
fn save(name: &str, found: &Value) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in `target`").join("truth");
    let write = |folder: PathBuf| {
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(format!("{name}.json")), serde_json::to_string_pretty(found)?)
    };
    write(folder).expect("`target` can be written");
}

/// A running service; it ends when dropped, and with this process however that ends.
struct Service {
    child: Child,
    address: SocketAddr,
    http: reqwest::Client,
    _folder: tempfile::TempDir,
}

impl Service {
    fn start(truth: &Truth, machine: &Machine) -> Result<Self, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = limited(command((truth.needs.neighbours > 0).then_some(0)), truth.needs.descriptors);
        command.args(["--serve", truth.name]).current_dir(folder.path());
        command.env(service::UPSTREAM, machine.upstream.to_string());
        if let Some(postgres) = &machine.postgres {
            command.env(service::POSTGRES, postgres.folder());
        }
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| format!("{command:?}: {error}"))?;
        let mut line = String::new();
        let read = BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line);
        let address = line.trim_end().strip_prefix("listening on ").and_then(|address| address.parse().ok());
        let http = reqwest::Client::new();
        match address {
            Some(address) => Ok(Self { child, address, http, _folder: folder }),
            None => {
                drop(child.stdin.take());
                Err(format!("it does not start: {read:?}, {:?}", child.wait()))
            }
        }
    }

    /// Returns how many times longer the work of the service takes than on a processor of its own: the time that its threads ran
    /// or waited for a processor, divided by the time that they ran; 1 where the system does not record this.
    fn slowness(&self) -> f64 {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).into_iter().flatten().flatten();
        let times = threads.filter_map(|thread| {
            let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
            let mut nanoseconds = text.split_whitespace().map_while(|word| word.parse::<f64>().ok());
            Some((nanoseconds.next()?, nanoseconds.next()?))
        });
        let (ran, waited) = times.fold((0.0, 0.0), |(ran, waited), (more, wait)| (ran + more, waited + wait));
        if ran > 0.0 { (ran + waited) / ran } else { 1.0 }
    }

    /// Returns an answer of the monitor; `None` where it takes too long.
    async fn get(&self, path: &str) -> Option<Value> {
        let answer = async {
            let response = self.http.get(format!("http://{}{path}", self.address)).send().await.ok()?;
            serde_json::from_str(&response.text().await.ok()?).ok()
        };
        timeout(ANSWER, answer).await.ok().flatten()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Closes its standard input first, at which it ends.
        let _ = self.child.wait();
    }
}

/// Returns the command with a limit of open file descriptors.
fn limited(command: Command, descriptors: Option<u32>) -> Command {
    let Some(limit) = descriptors else { return command };
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\"")]);
    shell.arg(command.get_program()).args(command.get_args());
    shell
}
