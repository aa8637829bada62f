//! [`Truth`]: a service, its traffic, and what is true about it.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use axum::Router;

use crate::{client::Client, service::Host};

type Making = Pin<Box<dyn Future<Output = Router> + Send>>;
type Driving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Any rule, or any subject.
pub(crate) const ANY: &str = "*";

/// A finding that must be there.
#[derive(Clone)]
pub(crate) struct Expected {
    /// Ids of rules, each of which is right.
    pub(crate) rules: &'static [&'static str],
    /// A part of the subject.
    pub(crate) subject: &'static str,
    /// Kinds of causes, each of which is right.
    pub(crate) causes: &'static [&'static str],
    /// Words one of which the finding must contain, such as the name of the lock.
    pub(crate) names: &'static [&'static str],
    /// Whether it must be found. Where it need not be, its cause still has to be right.
    pub(crate) required: bool,
}

/// What a service needs of the machine.
#[derive(Clone, Copy, Default)]
pub(crate) struct Needs {
    pub(crate) postgres: bool,
    /// Runs while no other service does: it blocks its threads or uses the processor.
    pub(crate) alone: bool,
    /// Runs on one core with this many busy neighbours.
    pub(crate) neighbours: usize,
    /// Limit of open file descriptors.
    pub(crate) descriptors: Option<u32>,
}

#[derive(Clone)]
pub(crate) struct Truth {
    /// What it is counted under.
    pub(crate) family: &'static str,
    pub(crate) name: &'static str,
    /// What is wrong, or what only looks wrong.
    pub(crate) about: &'static str,
    pub(crate) app: Arc<dyn Fn(Host) -> Making + Send + Sync>,
    pub(crate) traffic: Arc<dyn Fn(Client) -> Driving + Send + Sync>,
    pub(crate) expected: Vec<Expected>,
    /// Findings, by rule and part of the subject, that are true as well.
    pub(crate) tolerated: Vec<(&'static str, &'static str)>,
    /// Texts that no finding of a rule may contain, in any case of letters.
    pub(crate) never: Vec<(&'static str, &'static str)>,
    pub(crate) needs: Needs,
    pub(crate) workers: usize,
    /// Threads of `spawn_blocking`.
    pub(crate) blocking_threads: usize,
    pub(crate) lasts: Duration,
    /// Part of the short form.
    pub(crate) short: bool,
}

impl Truth {
    pub(crate) fn new(name: &'static str, about: &'static str) -> Self {
        Self {
            family: "",
            name,
            about,
            app: Arc::new(|host| Box::pin(async move { host.watch(Router::new()) })),
            traffic: Arc::new(|_| Box::pin(std::future::pending())),
            expected: Vec::new(),
            tolerated: Vec::new(),
            never: Vec::new(),
            needs: Needs::default(),
            workers: 2,
            blocking_threads: 512,
            lasts: Duration::from_secs(9),
            short: false,
        }
    }

    /// Sets the service. The function passes its router through [`Host::watch`].
    pub(crate) fn app<F>(mut self, app: impl Fn(Host) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Router> + Send + 'static,
    {
        self.app = Arc::new(move |host| Box::pin(app(host)));
        self
    }

    /// Sets the traffic, which is dropped when the time of the service is over.
    pub(crate) fn traffic<F>(mut self, traffic: impl Fn(Client) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.traffic = Arc::new(move |client| Box::pin(traffic(client)));
        self
    }

    /// Adds a finding that must be there, with one of the causes.
    pub(crate) fn finds(
        mut self,
        rules: &'static [&'static str],
        subject: &'static str,
        causes: &'static [&'static str],
    ) -> Self {
        self.expected.push(Expected { rules, subject, causes, names: &[], required: true });
        self
    }

    /// Adds a finding that need not be there; where it is, it must have one of the causes.
    pub(crate) fn may_find(
        mut self,
        rules: &'static [&'static str],
        subject: &'static str,
        causes: &'static [&'static str],
    ) -> Self {
        self.expected.push(Expected { rules, subject, causes, names: &[], required: false });
        self
    }

    /// The finding that was added last must contain one of these words.
    pub(crate) fn naming(mut self, names: &'static [&'static str]) -> Self {
        self.expected.last_mut().expect("after `finds`").names = names;
        self
    }

    /// A finding that is true beside those that must be there, whatever it says about the cause.
    pub(crate) fn also(mut self, rule: &'static str, subject: &'static str) -> Self {
        self.tolerated.push((rule, subject));
        self
    }

    /// Adds texts that no finding of the service may contain.
    pub(crate) fn never(self, texts: &'static [&'static str]) -> Self {
        self.never_in(ANY, texts)
    }

    /// Adds texts that no finding of one rule may contain.
    pub(crate) fn never_in(mut self, rule: &'static str, texts: &'static [&'static str]) -> Self {
        self.never.extend(texts.iter().map(|text| (rule, *text)));
        self
    }

    pub(crate) fn postgres(mut self) -> Self {
        self.needs.postgres = true;
        self
    }

    pub(crate) fn alone(mut self) -> Self {
        self.needs.alone = true;
        self
    }

    pub(crate) fn starved(mut self, neighbours: usize) -> Self {
        self.needs.alone = true;
        self.needs.neighbours = neighbours;
        self
    }

    pub(crate) fn descriptors(mut self, limit: u32) -> Self {
        self.needs.descriptors = Some(limit);
        self
    }

    pub(crate) fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    pub(crate) fn blocking_threads(mut self, threads: usize) -> Self {
        self.blocking_threads = threads;
        self
    }

    pub(crate) fn lasts(mut self, seconds: u64) -> Self {
        self.lasts = Duration::from_secs(seconds);
        self
    }

    pub(crate) fn short(mut self) -> Self {
        self.short = true;
        self
    }

    /// Returns the ids of the rules that it speaks of.
    pub(crate) fn rules(&self) -> impl Iterator<Item = &'static str> {
        let expected = self.expected.iter().flat_map(|expected| expected.rules.iter().copied());
        let others = self.tolerated.iter().chain(&self.never).map(|(rule, _)| *rule);
        expected.chain(others).filter(|rule| *rule != ANY)
    }

    /// Returns whether it takes minutes. Such services run beside all others.
    pub(crate) fn is_long(&self) -> bool {
        self.lasts > Duration::from_secs(60)
    }
}
