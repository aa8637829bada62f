//! The target of the comparisons: responds to every request with the same five bytes, as fast as one core can.
//!
//! `trivial_server PORT [DELAY_MICROSECONDS]`; with a delay each response waits that long, plus or minus a tenth.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello";

fn main() {
    let mut arguments = std::env::args().skip(1);
    let port: u16 = arguments.next().and_then(|text| text.parse().ok()).expect("a port");
    let delay: u64 = arguments.next().map_or(0, |text| text.parse().expect("microseconds"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async move {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a free port");
        let mut seed = 1u64;
        while let Ok((stream, _)) = listener.accept().await {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            tokio::spawn(serve(stream, delay, seed));
        }
    });
}

async fn serve(mut stream: TcpStream, delay: u64, mut seed: u64) {
    _ = stream.set_nodelay(true);
    let mut buffer = Vec::with_capacity(4096);
    while let Ok(1..) = stream.read_buf(&mut buffer).await {
        let requests = buffer.windows(4).filter(|window| *window == b"\r\n\r\n").count();
        if requests == 0 {
            continue;
        }
        buffer.clear();
        if delay > 0 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let jitter = (seed >> 33) % (delay / 5 + 1);
            tokio::time::sleep(Duration::from_micros(delay * 9 / 10 + jitter)).await;
        }
        for _ in 0..requests {
            if stream.write_all(ANSWER).await.is_err() {
                return;
            }
        }
    }
}
