//! [`Watchdog`]: a thread that looks at the workers whose poll lasts.
//!
//! A worker that waits for a lock or a file cannot say so itself, so this looks from outside. It is parked while no poll is
//! watched, which is while no endpoint and no task blocks. It may be late, as everything on a busy machine: then a poll is seen
//! less often, or never, and nothing is said of it.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crate::{context::polls::Polls, names, sample::look_at};

/// Time between two looks.
const PERIOD: Duration = names::BLOCKING;
/// Looks without a watched poll after which the thread is parked: polls of a service under load come again soon.
const PATIENCE: u32 = 20;
/// How much older a poll has to be for each further look, so that the few notes of a poll cover some seconds.
const GROWTH: f64 = 1.5;

/// The thread. It ends with this.
#[derive(Debug)]
pub(super) struct Watchdog {
    polls: Arc<Polls>,
    is_over: Arc<AtomicBool>,
}

impl Watchdog {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// Returns the error of the system where it refuses a thread.
    pub(super) fn start(polls: Arc<Polls>) -> io::Result<Self> {
        let is_over = Arc::<AtomicBool>::default();
        let watchdog = Self { polls: polls.clone(), is_over: is_over.clone() };
        thread::Builder::new().name("pinchpoint-watch".to_owned()).spawn(move || watch(&polls, &is_over))?;
        Ok(watchdog)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        self.polls.wake();
    }
}

fn watch(polls: &Polls, is_over: &AtomicBool) {
    polls.attend();
    let mut unwatched = 0;
    while !is_over.load(Ordering::Acquire) {
        let any = polls.each_lasting(names::BLOCKING, |poll| {
            let looks = i32::try_from(poll.looks()).unwrap_or(i32::MAX);
            if poll.age >= names::BLOCKING.mul_f64(GROWTH.powi(looks))
                && let Some(sight) = look_at(poll.thread)
            {
                poll.note(sight);
            }
        });
        unwatched = if any { 0 } else { unwatched + 1 };
        if unwatched >= PATIENCE {
            polls.sleep();
            unwatched = 0;
        } else {
            thread::park_timeout(PERIOD);
        }
    }
}
