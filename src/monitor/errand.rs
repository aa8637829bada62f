//! [`Errand`]: work that may never come back, on a thread of its own.
//!
//! A read of a file can last for ever: on a network file system whose server is gone, on a device. On a worker of the runtime it
//! would stop every request that this worker has to serve, and as a blocking task it would keep the runtime from ending. So the
//! loop has such work done by a plain thread, once at a time, and goes on meanwhile. The invariant that a change could
//! break: only a blocking task waits for the thread, and that for [`PATIENCE`] at most.

use std::{
    future::pending,
    io, mem,
    sync::mpsc::{self, Receiver, SyncSender},
    thread,
    time::Duration,
};

use tokio::{
    runtime::Handle,
    task::{JoinHandle, spawn_blocking},
    time::{Instant, sleep_until, timeout},
};

/// How long a result is waited for at a time: longer than a busy core keeps a thread from running, and short enough to hold up
/// the end of the runtime, which waits for its blocking tasks.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long an evaluation waits for what is under way.
const SETTLING: Duration = Duration::from_millis(200);
/// Time until a result that was not there is waited for again.
const PAUSE: Duration = Duration::from_secs(1);

/// A kind of work that is done again and again.
pub(super) struct Errand<T> {
    orders: SyncSender<()>,
    progress: Progress<T>,
    /// When the work that is under way was ordered.
    since: Option<Instant>,
}

enum Progress<T> {
    /// Nothing is under way.
    Idle(Receiver<T>),
    /// A blocking task waits for the result.
    Awaited(JoinHandle<(Receiver<T>, Option<T>)>),
    /// It was waited for in vain, and is waited for again at that time.
    Late(Receiver<T>, Instant),
    /// The runtime ends, or the work panicked.
    Over,
}

impl<T: Send + 'static> Errand<T> {
    /// Starts the thread, which ends with the errand, once its work comes back. It has the clock of `runtime`.
    ///
    /// # Errors
    ///
    /// Returns the error of the system where it refuses a thread.
    pub(super) fn new(name: &str, runtime: &Handle, mut work: impl FnMut() -> T + Send + 'static) -> io::Result<Self> {
        let (orders, ordered) = mpsc::sync_channel(1);
        let (finished, results) = mpsc::channel();
        let runtime = runtime.clone();
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _clock = runtime.enter();
            while ordered.recv().is_ok() && finished.send(work()).is_ok() {}
        })?;
        Ok(Self { orders, progress: Progress::Idle(results), since: None })
    }

    /// Orders the work unless it is under way.
    pub(super) fn begin(&mut self, now: Instant) {
        self.progress = match mem::replace(&mut self.progress, Progress::Over) {
            // The thread is idle and takes the order, or it has panicked.
            Progress::Idle(results) => match self.orders.try_send(()) {
                Ok(()) => {
                    self.since = Some(now);
                    Progress::Awaited(wait(results))
                }
                Err(_) => Progress::Over,
            },
            under_way_or_over => under_way_or_over,
        };
    }

    /// Waits for the result of the work that is under way; for ever where none is. Can be dropped without losing it.
    pub(super) async fn result(&mut self) -> T {
        loop {
            match &mut self.progress {
                Progress::Awaited(waiting) => match waiting.await {
                    Ok((results, Some(result))) => {
                        self.progress = Progress::Idle(results);
                        self.since = None;
                        return result;
                    }
                    Ok((results, None)) => self.progress = Progress::Late(results, Instant::now() + PAUSE),
                    Err(_) => self.progress = Progress::Over,
                },
                Progress::Late(_, again) => {
                    sleep_until(*again).await;
                    if let Progress::Late(results, _) = mem::replace(&mut self.progress, Progress::Over) {
                        self.progress = Progress::Awaited(wait(results));
                    }
                }
                Progress::Idle(_) | Progress::Over => return pending().await,
            }
        }
    }

    /// Waits for the result of the work that is under way, but only for a moment.
    pub(super) async fn settle(&mut self) -> Option<T> {
        match self.progress {
            Progress::Awaited(_) => timeout(SETTLING, self.result()).await.ok(),
            _ => None,
        }
    }

    /// Returns since when the work has been under way.
    pub(super) fn since(&self) -> Option<Instant> {
        self.since
    }
}

fn wait<T: Send + 'static>(results: Receiver<T>) -> JoinHandle<(Receiver<T>, Option<T>)> {
    spawn_blocking(move || {
        let result = results.recv_timeout(PATIENCE).ok();
        (results, result)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Sender;

    use super::*;

    /// An errand whose work comes back with what the test sends.
    fn errand() -> (Sender<u32>, Errand<u32>) {
        let (results, work) = mpsc::channel::<u32>();
        let errand = Errand::new("test", &Handle::current(), move || work.recv().unwrap_or_default());
        (results, errand.expect("a thread"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_result_is_there_before_time_goes_on() {
        let (results, mut errand) = errand();
        let before = Instant::now();
        for expected in [1, 2] {
            results.send(expected).expect("the thread waits");
            errand.begin(before);
            assert_eq!(errand.result().await, expected);
            assert_eq!((errand.since(), Instant::now()), (None, before));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_does_not_come_back_is_ordered_once_and_holds_nobody_up() {
        let (results, mut errand) = errand();
        let began = Instant::now();
        errand.begin(began);
        for _ in 0..3 {
            assert_eq!(errand.settle().await, None);
            assert_eq!(errand.since(), Some(began));
            errand.begin(Instant::now());
        }
        results.send(1).expect("the thread waits");
        assert_eq!((errand.result().await, errand.since()), (1, None));
        // The orders in between were none.
        assert_eq!(errand.settle().await, None);
        results.send(2).expect("the thread waits");
        errand.begin(Instant::now());
        assert_eq!(errand.result().await, 2);
    }

    #[tokio::test]
    async fn the_thread_ends_with_the_errand() {
        let (orders, ordered) = mpsc::channel();
        let work = move || orders.send(()).is_ok();
        let mut errand = Errand::new("test", &Handle::current(), work).expect("a thread");
        errand.begin(Instant::now());
        assert!(errand.result().await);
        drop(errand);
        ordered.recv().expect("the first order");
        ordered.recv().expect_err("the thread and its work are gone");
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_ends_the_errand_only() {
        let mut errand = Errand::new("test", &Handle::current(), || panic!("in the work")).expect("a thread");
        for _ in 0..2 {
            errand.begin(Instant::now());
            let result: Option<()> = errand.settle().await;
            assert_eq!(result, None);
        }
    }
}
