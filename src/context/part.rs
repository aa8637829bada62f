//! [`Part`]: the parts of a request's time that are known by what it waited for.
//!
//! Their order is the order in which time counts where several ran at once. [`Part::Late`] is the first: what a request had
//! been woken for was ready by then, whatever else it still waited for.

/// A part of a request's time. What none of them covers is either time inside poll or unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Part {
    /// It had been woken, and no worker polled it yet.
    Late,
    /// The client had not sent the rest of its body, or had not taken what was sent to it.
    Client,
    /// A call to another service.
    Http,
    /// A database query.
    Db,
    /// A wait for a connection of a pool.
    Pool,
    /// A wait for a lock.
    Lock,
    /// A wait for a permit.
    Semaphore,
    /// A wait for a message, or for room to send one.
    Channel,
    /// A wait of a kind that the host named.
    Wait,
    /// A wait for a thread of the blocking pool.
    ThreadPool,
    /// Work on such a thread.
    Blocking,
    /// A tracked task.
    Task,
}

impl Part {
    /// All of them, in the order in which they count.
    pub(crate) const ALL: [Self; 12] = [
        Self::Late,
        Self::Client,
        Self::Http,
        Self::Db,
        Self::Pool,
        Self::Lock,
        Self::Semaphore,
        Self::Channel,
        Self::Wait,
        Self::ThreadPool,
        Self::Blocking,
        Self::Task,
    ];
    pub(crate) const COUNT: usize = Self::ALL.len();

    /// Returns the value of the labels [`PART`](crate::names::PART) and [`WAIT_KIND`](crate::names::WAIT_KIND).
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Client => "client",
            Self::Http => "http",
            Self::Db => "db",
            Self::Pool => "pool",
            Self::Lock => "lock",
            Self::Semaphore => "semaphore",
            Self::Channel => "channel",
            Self::Wait => "wait",
            Self::ThreadPool => "thread_pool",
            Self::Blocking => "blocking",
            Self::Task => "task",
        }
    }

    /// Returns the part with a label.
    pub(crate) fn of_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.label() == label)
    }

    /// Returns the part of a wait of this kind, as `track_wait` names it.
    pub(crate) fn of_wait(kind: &str) -> Self {
        match kind {
            "pool" => Self::Pool,
            "lock" => Self::Lock,
            "semaphore" => Self::Semaphore,
            "channel" => Self::Channel,
            _ => Self::Wait,
        }
    }

    /// Returns whether it is something that a request does, with a name, and not what is done to it.
    pub(crate) fn is_named(self) -> bool {
        !matches!(self, Self::Late | Self::Client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_stand_in_the_order_in_which_they_count() {
        assert!(Part::ALL.into_iter().enumerate().all(|(place, part)| part as usize == place));
        assert!(Part::ALL.into_iter().all(|part| Part::of_label(part.label()) == Some(part)));
    }
}
