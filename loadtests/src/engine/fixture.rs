//! A server that responds, and a plan for it, for the engine's own tests.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use reqwest::header::HeaderMap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    Actor, ClientSettings, LoadPlan, Model, Redirects, RunState, Seed, Stop,
    client::{ClientFactory, UserClient},
};

/// Starts a server that responds with the number of the request, and returns its address.
pub(super) async fn server() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let count = Arc::new(AtomicU64::new(0));
        while let Ok((mut stream, _)) = listener.accept().await {
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(1..) = stream.read(&mut buffer).await {
                    let body = format!("{{\"number\": {}}}", count.fetch_add(1, Ordering::Relaxed));
                    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                    stream.write_all((head + &body).as_bytes()).await.unwrap();
                }
            });
        }
    });
    format!("http://{address}")
}

/// Returns a plan of one actor, without a duration.
pub(super) fn plan(base: &str, actor: Actor, model: Model) -> LoadPlan {
    LoadPlan {
        actors: vec![actor],
        base: base.parse().unwrap(),
        model,
        duration: None,
        warm_up: Duration::ZERO,
        grace: Duration::from_secs(1),
        client: ClientSettings {
            accept_invalid_certs: false,
            gzip: true,
            redirects: Redirects::Keep,
            connect_timeout: Duration::from_secs(5),
        },
        headers: HeaderMap::new(),
        timeout: Duration::from_secs(5),
        seed: Seed::new(1),
    }
}

/// Returns a client that belongs to no run.
pub(super) fn client() -> UserClient {
    let actor = Actor::from_code("nothing", 1, Box::new(|_| Box::pin(async { Ok(()) })));
    let plan = plan("http://127.0.0.1:1", actor, Model::Closed { users: 1, ramp_up: Duration::ZERO, iterations: None });
    ClientFactory::new(&plan.client, &plan.base, &RunState::new(1, Stop::default())).build(false).unwrap()
}
