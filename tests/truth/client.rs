//! [`Client`]: the traffic of a service, that of slow and impatient clients included.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use reqwest::Method;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::sleep,
};

/// Requests of one kind, made by some users one after another.
#[derive(Clone)]
pub(crate) struct Visit {
    method: Method,
    path: &'static str,
    body: usize,
    users: usize,
    pause: Duration,
    patience: Duration,
}

/// One user who sends a GET every 50 ms after the answer.
pub(crate) fn get(path: &'static str) -> Visit {
    let (pause, patience) = (Duration::from_millis(50), Duration::from_secs(60));
    Visit { method: Method::GET, path, body: 0, users: 1, pause, patience }
}

pub(crate) fn post(path: &'static str) -> Visit {
    Visit { method: Method::POST, ..get(path) }
}

impl Visit {
    pub(crate) fn users(self, users: usize) -> Self {
        Self { users, ..self }
    }

    /// Sets the time between an answer and the next request of the same user.
    pub(crate) fn pause(self, millis: u64) -> Self {
        Self { pause: Duration::from_millis(millis), ..self }
    }

    /// Sets the time after which users give up.
    pub(crate) fn patience(self, millis: u64) -> Self {
        Self { patience: Duration::from_millis(millis), ..self }
    }

    pub(crate) fn body(self, bytes: usize) -> Self {
        Self { body: bytes, ..self }
    }
}

#[derive(Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    http: reqwest::Client,
    number: Arc<AtomicU64>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let http = reqwest::Client::builder().pool_max_idle_per_host(256).build().unwrap();
        Self { address, http, number: Arc::default() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends the requests of all visits, until this is dropped.
    pub(crate) async fn visits<const N: usize>(&self, visits: [Visit; N]) {
        let users = visits.into_iter().flat_map(|visit| (0..visit.users).map(move |user| (visit.clone(), user)));
        join_all(users.map(|(visit, user)| async move {
            // So that users who begin together do not stay together.
            sleep(visit.pause.mul_f64(user as f64 / visit.users as f64)).await;
            loop {
                self.send(&visit).await;
                sleep(visit.pause).await;
            }
        }))
        .await;
    }

    /// Sends `number` requests at once every `millis`, until this is dropped.
    pub(crate) async fn bursts(&self, visit: Visit, number: usize, millis: u64) {
        let mut bursts = tokio::time::interval(Duration::from_millis(millis));
        loop {
            bursts.tick().await;
            join_all((0..number).map(|_| self.send(&visit))).await;
        }
    }

    /// Sends one request and reads its answer. `{n}` in the path is the number of the request. A user who runs out of
    /// patience closes the connection.
    pub(crate) async fn send(&self, visit: &Visit) -> Option<u16> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let url = format!("http://{}{}", self.address, visit.path.replace("{n}", &number.to_string()));
        let request = self.http.request(visit.method.clone(), url).body(vec![b'x'; visit.body]);
        let answer = async {
            let response = request.send().await.ok()?;
            let status = response.status().as_u16();
            response.bytes().await.ok()?;
            Some(status)
        };
        tokio::time::timeout(visit.patience, answer).await.ok().flatten()
    }

    /// Repeats a request of `users` until this is dropped.
    pub(crate) async fn repeat<F: Future<Output = ()>>(&self, users: usize, each: impl Fn() -> F) {
        let each = &each;
        join_all((0..users).map(|_| async move {
            loop {
                each().await;
                sleep(Duration::from_millis(20)).await;
            }
        }))
        .await;
    }

    /// Sends the head of a request and returns the connection.
    pub(crate) async fn open(&self, head: &str) -> Option<TcpStream> {
        let socket = TcpSocket::new_v4().ok()?;
        // Else the system takes megabytes of an answer for a client that does not read.
        socket.set_recv_buffer_size(16 * 1024).ok()?;
        let mut stream = socket.connect(self.address).await.ok()?;
        stream.write_all(format!("{head}\r\nHost: x\r\nConnection: close\r\n").as_bytes()).await.ok()?;
        Some(stream)
    }

    /// Sends a body in `chunks` pieces of 1,000 bytes, one every `millis`, and reads the answer.
    pub(crate) async fn upload_slowly(&self, path: &str, chunks: usize, millis: u64) {
        let Some(mut stream) = self.open(&format!("POST {path} HTTP/1.1")).await else { return };
        let length = chunks * 1_000;
        let _ = stream.write_all(format!("Content-Length: {length}\r\n\r\n").as_bytes()).await;
        for _ in 0..chunks {
            let _ = stream.write_all(&[b'x'; 1_000]).await;
            sleep(Duration::from_millis(millis)).await;
        }
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }

    /// Reads an answer in pieces of at most `bytes`, one every `millis`.
    pub(crate) async fn read_slowly(&self, path: &str, bytes: usize, millis: u64) {
        let Some(mut stream) = self.open(&format!("GET {path} HTTP/1.1")).await else { return };
        let _ = stream.write_all(b"\r\n").await;
        let mut piece = vec![0; bytes];
        while stream.read(&mut piece).await.is_ok_and(|read| read > 0) {
            sleep(Duration::from_millis(millis)).await;
        }
    }
}
