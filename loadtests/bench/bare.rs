//! The libraries that the tool is built on, without the tool: `bare MODE URL USERS SECONDS` prints the requests a second.
//!
//! - `goose`: a Goose attack as in its documentation, with its metrics, `user.get` and the body left unread
//! - `goose-no-metrics`: the same with `--no-metrics`
//! - `goose-custom`: with Goose's metrics, but the request sent with reqwest, its body read, and the time to the last byte given
//!   to Goose's `record_custom_request_duration`
//! - `client`: no Goose; tasks that send with reqwest and read the body, each with a client of its own
//! - `client-shared`: the same with one client for all

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use goose::{config::GooseConfiguration, prelude::*};

static SENT: AtomicU64 = AtomicU64::new(0);
static TARGET: OnceLock<reqwest::Url> = OnceLock::new();

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mode, url, users, seconds] = arguments.as_slice() else { return Err("bare MODE URL USERS SECONDS".into()) };
    let (users, seconds): (usize, u64) = (users.parse()?, seconds.parse()?);
    match mode.as_str() {
        "goose" => attack(url, users, seconds, false, transaction!(get)).await?,
        "goose-no-metrics" => attack(url, users, seconds, true, transaction!(get)).await?,
        "goose-custom" => {
            _ = TARGET.set(url.parse()?);
            attack(url, users, seconds, false, transaction!(custom)).await?;
        }
        "client" => client(url, users, seconds, false).await?,
        "client-shared" => client(url, users, seconds, true).await?,
        _ => return Err("unknown mode".into()),
    }
    let sent = SENT.load(Ordering::Relaxed);
    eprintln!("{{\"requests\": {sent}, \"requests_per_second\": {:.1}}}", sent as f64 / seconds as f64);
    Ok(())
}

async fn attack(
    url: &str,
    users: usize,
    seconds: u64,
    no_metrics: bool,
    transaction: Transaction,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut configuration = GooseConfiguration::parse_args_default::<&str>(&[])?;
    configuration.host = Some(url.to_owned());
    configuration.users = Some(users);
    configuration.increase_rate = Some("1000000".to_owned());
    configuration.run_time = Some(format!("{seconds}s"));
    configuration.quiet = 2;
    configuration.no_telnet = true;
    configuration.no_print_metrics = true;
    configuration.no_metrics = no_metrics;
    GooseAttack::initialize_with_config(configuration)?
        .register_scenario(scenario!("bare").register_transaction(transaction))
        .execute()
        .await?;
    Ok(())
}

async fn get(user: &mut GooseUser) -> TransactionResult {
    user.get("/").await?;
    SENT.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

async fn custom(user: &mut GooseUser) -> TransactionResult {
    let Some(url) = TARGET.get() else { return Ok(()) };
    let began = Instant::now();
    if let Ok(mut response) = user.client.execute(reqwest::Request::new(reqwest::Method::GET, url.clone())).await {
        while let Ok(Some(_)) = response.chunk().await {}
        let status = response.status().as_u16();
        user.record_custom_request_duration("GET", "/", began.elapsed(), status < 400, Some(status), None).await?;
        SENT.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

async fn client(url: &str, users: usize, seconds: u64, shared: bool) -> Result<(), Box<dyn std::error::Error>> {
    let one = reqwest::Client::builder().gzip(true).tls_certs_only([]).build()?;
    let url: Arc<reqwest::Url> = Arc::new(url.parse()?);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut tasks = Vec::new();
    for _ in 0..users {
        let client =
            if shared { one.clone() } else { reqwest::Client::builder().gzip(true).tls_certs_only([]).build()? };
        let url = Arc::clone(&url);
        tasks.push(tokio::spawn(async move {
            while Instant::now() < end {
                let request = reqwest::Request::new(reqwest::Method::GET, (*url).clone());
                if let Ok(mut response) = client.execute(request).await {
                    while let Ok(Some(_)) = response.chunk().await {}
                    SENT.fetch_add(1, Ordering::Relaxed);
                }
            }
        }));
    }
    for task in tasks {
        task.await?;
    }
    Ok(())
}
