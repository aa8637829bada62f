//! [`Tally`]: all samples of a run, by endpoint, overall and over time.

use super::{
    endpoint::{EndpointId, EndpointName},
    endpoint_tally::EndpointTally,
    recorder::Recorder,
    series::{Point, Series},
};

/// One endpoint: its name, its numbers, and their course over time.
#[derive(Clone, Debug)]
pub(crate) struct EndpointCourse {
    pub(crate) name: EndpointName,
    /// Its path, from which the server's route is found.
    pub(crate) route: String,
    /// Its numbers over the whole run.
    pub(crate) tally: EndpointTally,
    /// Its numbers over time.
    pub(crate) series: Series,
}

/// All samples of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    endpoints: Vec<EndpointCourse>,
    total: EndpointTally,
    series: Series,
    /// Intervals drained so far.
    ticks: u64,
}

impl Tally {
    /// Adds what was recorded since the last call as the interval that ends at `end` and lasted `span` seconds, and returns
    /// that interval's numbers.
    pub(crate) fn drain(&mut self, recorder: &Recorder, end: f64, span: f64) -> Interval {
        self.grow(recorder);
        let mut parts: Vec<(EndpointId, EndpointTally)> = Vec::new();
        recorder.drain(|id, tally| match parts.iter_mut().find(|(known, _)| *known == id) {
            Some((_, part)) => part.add(tally),
            None => parts.push((id, tally.clone())),
        });
        // Users may have registered endpoints while the shards were drained.
        self.grow(recorder);
        let mut overall = EndpointTally::default();
        for (id, part) in &parts {
            let course = &mut self.endpoints[id.index()];
            course.tally.add(part);
            course.series.push(self.ticks, Point::of(part, end - span, span));
            self.total.add(part);
            overall.add(part);
        }
        self.series.push(self.ticks, Point::of(&overall, end - span, span));
        self.ticks += 1;
        Interval { overall, endpoints: parts }
    }

    /// Returns the endpoints by id.
    pub(crate) fn endpoints(&self) -> &[EndpointCourse] {
        &self.endpoints
    }

    /// Returns all endpoints together.
    pub(crate) fn total(&self) -> &EndpointTally {
        &self.total
    }

    /// Returns what quick requests to the fastest endpoint take, in seconds from when they were sent; `None` without
    /// requests.
    ///
    /// Of a generator that is too slow most requests seem to take long. The quick ones show best how long the service takes.
    pub(crate) fn quick_request_seconds(&self) -> Option<f64> {
        let quick = self.endpoints.iter().filter_map(|course| course.tally.quick_request_seconds());
        quick.reduce(f64::min)
    }

    /// Returns all endpoints together over time.
    pub(crate) fn series(&self) -> &Series {
        &self.series
    }

    fn grow(&mut self, recorder: &Recorder) {
        for (name, route) in recorder.endpoints().into_iter().skip(self.endpoints.len()) {
            self.endpoints.push(EndpointCourse {
                name,
                route,
                tally: EndpointTally::default(),
                series: Series::default(),
            });
        }
    }
}

/// The numbers of one interval.
#[derive(Clone, Debug)]
pub(crate) struct Interval {
    /// All endpoints together.
    pub(crate) overall: EndpointTally,
    /// Each endpoint that had requests.
    pub(crate) endpoints: Vec<(EndpointId, EndpointTally)>,
}
