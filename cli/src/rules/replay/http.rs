//! Asks a Prometheus about the past, by its HTTP API.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use pinchpoint::replay::{PrometheusQuestion, PrometheusRange, PrometheusSeries, Remark};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, InvalidHeaderValue};
use serde::Deserialize;

use crate::address::PrometheusAddress;

/// Points of a series that Prometheus returns at most are 11,000.
const POINTS: u32 = 10_000;
/// Prometheus gives up on a query after two minutes, unless it is set otherwise.
const PATIENCE: Duration = Duration::from_secs(150);
/// Statuses of Prometheus's answers to a query that it cannot read, and to one that it cannot execute.
const BAD_DATA: u16 = 400;
const EXECUTION: u16 = 422;
/// Characters of a server's error that are shown.
const SHOWN: usize = 300;

/// Why Prometheus did not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrometheusError {
    /// The file with the credentials cannot be read.
    #[error("cannot read {}", path.display())]
    Authorization {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file holds something that no header can.
    #[error("{} does not hold the value of a header, such as: Bearer abc", path.display())]
    NoHeader {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: InvalidHeaderValue,
    },
    /// No HTTP client can be made.
    #[error("no HTTP client can be made")]
    Client(#[source] reqwest::Error),
    /// No answer came.
    #[error("no answer from Prometheus at {address}")]
    Unanswered {
        /// Where it was asked.
        address: PrometheusAddress,
        /// Why not. Its own address would have the query, and credentials.
        source: reqwest::Error,
    },
    /// The answer is an error.
    #[error("Prometheus answers {status} to the query of {rule}: {message}")]
    Refused {
        /// Status of the answer.
        status: u16,
        /// The rule whose expression was asked for.
        rule: String,
        /// What the server says.
        message: String,
    },
    /// The answer is none of a Prometheus.
    #[error(
        "the answer to the query of {rule} is none of a Prometheus; expected the address of its API, such as http://localhost:9090"
    )]
    Foreign {
        /// The rule whose expression was asked for.
        rule: String,
        /// Why not.
        source: serde_json::Error,
    },
    /// No runtime could be made.
    #[error("cannot start a runtime")]
    Runtime(#[source] io::Error),
}

impl PrometheusError {
    /// Returns whether the server did not like one query: it may answer others.
    fn is_of_query(&self) -> bool {
        matches!(self, Self::Refused { status: BAD_DATA | EXECUTION, .. })
    }
}

/// What a Prometheus answers to many questions.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// The series of each, in their order.
    pub(super) series: Vec<Vec<PrometheusSeries>>,
    /// Which rules could not be asked for.
    pub(super) refused: Vec<Remark>,
    answered: usize,
}

impl Answers {
    fn remark(&mut self, question: &PrometheusQuestion, error: &PrometheusError) {
        // One for all severities.
        if self.refused.last().is_none_or(|last| last.rule != question.rule) {
            self.refused.push(Remark { rule: question.rule.clone(), is_judged: false, reason: error.to_string() });
        }
    }
}

/// A connection to a Prometheus.
#[derive(Debug)]
pub(super) struct Client {
    address: PrometheusAddress,
    client: reqwest::Client,
}

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    values: Vec<(f64, String)>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// Returns the last `last` up to now, in steps that begin at whole multiples, so that two replays look at the same moments.
pub(super) fn range(last: Duration, step: Duration) -> PrometheusRange {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let step_seconds = step.as_secs().max(1);
    let to = now / step_seconds * step_seconds;
    let from = to.saturating_sub(last.as_secs() / step_seconds * step_seconds);
    PrometheusRange {
        from: Duration::from_secs(from),
        to: Duration::from_secs(to),
        step: Duration::from_secs(step_seconds),
    }
}

impl Client {
    /// Returns a client that sends the content of `authorization` as the header of that name.
    pub(super) fn new(address: &PrometheusAddress, authorization: Option<&Path>) -> Result<Self, PrometheusError> {
        let mut headers = HeaderMap::new();
        if let Some(path) = authorization {
            let text = fs::read_to_string(path)
                .map_err(|source| PrometheusError::Authorization { path: path.to_owned(), source })?;
            let mut value = HeaderValue::from_str(text.trim())
                .map_err(|source| PrometheusError::NoHeader { path: path.to_owned(), source })?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let client = reqwest::Client::builder().default_headers(headers).timeout(PATIENCE).build();
        Ok(Self { address: address.clone(), client: client.map_err(PrometheusError::Client)? })
    }

    fn unanswered(&self, error: reqwest::Error) -> PrometheusError {
        PrometheusError::Unanswered { address: self.address.clone(), source: error.without_url() }
    }

    /// Asks every question, one after another: a server that serves dashboards too is not to be overrun. `progress` is called with
    /// how many are answered. A query that the server refuses has no values, and a remark about its rule.
    ///
    /// # Errors
    /// Returns why there is no answer. A server that refuses every query is the wrong one.
    pub(super) fn ask<'q>(
        &self,
        questions: impl Iterator<Item = &'q PrometheusQuestion>,
        range: PrometheusRange,
        progress: impl Fn(usize),
    ) -> Result<Answers, PrometheusError> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(PrometheusError::Runtime)?;
        runtime.block_on(async {
            let mut answers = Answers::default();
            let mut refused = None;
            for question in questions {
                let series = match self.answer(question, range).await {
                    Err(error) if error.is_of_query() => {
                        answers.remark(question, &error);
                        refused.get_or_insert(error);
                        Vec::new()
                    }
                    answered => {
                        answers.answered += 1;
                        answered?
                    }
                };
                answers.series.push(series);
                progress(answers.series.len());
            }
            match refused {
                Some(error) if answers.answered == 0 => Err(error),
                _ => Ok(answers),
            }
        })
    }

    async fn answer(
        &self,
        question: &PrometheusQuestion,
        range: PrometheusRange,
    ) -> Result<Vec<PrometheusSeries>, PrometheusError> {
        let mut all: BTreeMap<BTreeMap<String, String>, Vec<(Duration, f64)>> = BTreeMap::new();
        let mut from = range.from;
        while from <= range.to {
            let to = range.to.min(from + range.step * (POINTS - 1));
            for Series { metric, values } in self.part(question, PrometheusRange { from, to, step: range.step }).await?
            {
                let values = values
                    .into_iter()
                    .filter_map(|(at, value)| Some((Duration::try_from_secs_f64(at).ok()?, value.parse().ok()?)));
                all.entry(metric).or_default().extend(values);
            }
            from = to + range.step;
        }
        Ok(all.into_iter().map(|(labels, values)| PrometheusSeries { labels, values }).collect())
    }

    async fn part(
        &self,
        question: &PrometheusQuestion,
        PrometheusRange { from, to, step }: PrometheusRange,
    ) -> Result<Vec<Series>, PrometheusError> {
        let seconds = |time: Duration| time.as_secs().to_string();
        let parameters = [
            ("query", question.expression.clone()),
            ("start", seconds(from)),
            ("end", seconds(to)),
            ("step", seconds(step)),
        ];
        // The expressions are long and some proxies are strict about addresses, but Prometheus takes GET on every version.
        let request = self.client.get(self.address.api("query_range")).query(&parameters);
        let response = request.send().await.map_err(|error| self.unanswered(error))?;
        let status = response.status();
        let body = response.text().await.map_err(|error| self.unanswered(error))?;
        let rule = question.rule.clone();
        if !status.is_success() {
            let said = serde_json::from_str::<Refusal>(&body).map_or(body, |refusal| refusal.error);
            let message: String = said.trim().chars().take(SHOWN).collect();
            return Err(PrometheusError::Refused { status: status.as_u16(), rule, message });
        }
        let answer: Answer = serde_json::from_str(&body).map_err(|source| PrometheusError::Foreign { rule, source })?;
        Ok(answer.data.result)
    }
}
