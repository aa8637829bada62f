//! [`Place`]: what a page shows, as its address says.

use std::{fmt::Write as _, time::Duration};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::{
    api::{error::ApiError, parameters::Parameter, period::Period, report::handler::ReportQuery},
    monitor::Core,
    names::{self, DEFAULT_WINDOW},
};

/// Characters of a filter.
const LONGEST_FILTER: usize = 200;
/// Findings on a page, each of which may be open.
pub(super) const FINDINGS: usize = 50;
/// What may stand in a value of a query string as it is, beside letters and digits.
const IN_VALUES: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/').remove(b',');

/// A kind of page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum View {
    Overview,
    Endpoints,
    Queries,
    Calls,
    Tasks,
    Rules,
    Slos,
    Monitor,
}

impl View {
    pub(super) const ALL: [Self; 8] = [
        Self::Overview,
        Self::Endpoints,
        Self::Queries,
        Self::Calls,
        Self::Tasks,
        Self::Rules,
        Self::Slos,
        Self::Monitor,
    ];

    /// Returns its part of the path below `/performance/view/`; empty for the overview.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Overview => "",
            Self::Endpoints => "endpoints",
            Self::Queries => "queries",
            Self::Calls => "calls",
            Self::Tasks => "tasks",
            Self::Rules => "rules",
            Self::Slos => "slos",
            Self::Monitor => "monitor",
        }
    }

    /// Returns what people call it.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Endpoints => "Endpoints",
            Self::Queries => "Queries",
            Self::Calls => "Calls and waits",
            Self::Tasks => "Tasks",
            Self::Rules => "Rules",
            Self::Slos => "Objectives",
            Self::Monitor => "This monitor",
        }
    }

    /// Returns where `/performance` is from this view, as a relative address.
    pub(super) fn root(self) -> &'static str {
        if self == Self::Overview { "performance" } else { "../../performance" }
    }

    pub(super) fn of_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|view| view.path() == path && *view != Self::Overview)
    }
}

/// How far back the plots look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Range {
    #[default]
    Quarter,
    Hour,
    Day,
    Week,
}

impl Range {
    pub(super) const ALL: [Self; 4] = [Self::Quarter, Self::Hour, Self::Day, Self::Week];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Quarter => "15m",
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Week => "7d",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Quarter => "15 min",
            Self::Hour => "1 h",
            Self::Day => "24 h",
            Self::Week => "7 d",
        }
    }

    pub(super) fn length(self) -> Duration {
        Duration::from_secs(match self {
            Self::Quarter => 15 * 60,
            Self::Hour => 3600,
            Self::Day => 24 * 3600,
            Self::Week => 7 * 24 * 3600,
        })
    }

    /// Returns the least width of a stretch that a plot of this range shows as a point.
    pub(super) fn width(self) -> Duration {
        Duration::from_secs(match self {
            Self::Quarter | Self::Hour => 60,
            Self::Day => 15 * 60,
            Self::Week => 2 * 3600,
        })
    }

    /// The same of a plot as small as a word.
    pub(super) fn coarse_width(self) -> Duration {
        match self {
            Self::Quarter => self.width(),
            Self::Hour | Self::Day | Self::Week => self.width() * 3,
        }
    }
}

/// By what a table is sorted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Sort {
    /// Name of the column.
    pub(super) by: String,
    /// Whether the smallest is first.
    pub(super) ascending: bool,
}

/// The columns that a table of any view can be sorted by.
const COLUMNS: [&str; 21] = [
    "active",
    "by",
    "calls",
    "errors",
    "failed",
    "judged",
    "kind",
    "max",
    "mean",
    "measure",
    "name",
    "p50",
    "p95",
    "p99",
    "rate",
    "requests",
    "share",
    "state",
    "subjects",
    "thresholds",
    "total",
];

impl Sort {
    /// Reads it; `None` for a column that no table has.
    fn read(text: &str) -> Option<Self> {
        let (by, ascending) = text.strip_prefix('-').map_or((text, true), |by| (by, false));
        COLUMNS.contains(&by).then(|| Self { by: by.to_owned(), ascending })
    }
}

/// What a page shows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) view: View,
    /// The one endpoint, query, call or task that it is about.
    pub(super) name: Option<String>,
    pub(super) range: Range,
    /// How far back tables look; everything since the start or the last clear for `None`.
    pub(super) window: Option<Duration>,
    pub(super) sort: Option<Sort>,
    pub(super) filter: String,
    /// From 1.
    pub(super) page: usize,
    /// Ids of the findings that are open.
    pub(super) findings: Vec<String>,
}

/// The parameters of a page.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub(in crate::api) struct PageQuery {
    /// How far back the plots look.
    #[cfg_attr(feature = "openapi", param(pattern = "^(15m|1h|24h|7d)$"))]
    range: Option<String>,
    /// How far back the tables look: `5m` by default, another length up to the longest window of a rule, or `all` for everything since
    /// the start or the last clear.
    window: Option<String>,
    /// The one endpoint, query, call or task that the page is about.
    name: Option<String>,
    /// The column by which the table is sorted, the smallest first; with a `-` before it the largest.
    sort: Option<String>,
    /// Text that a name in the table must have.
    q: Option<String>,
    /// Page of the table, from 1.
    #[cfg_attr(feature = "openapi", param(pattern = "^[1-9][0-9]{0,5}$"))]
    page: Option<String>,
    /// Ids of the findings that are open, with commas between them.
    finding: Option<String>,
    /// `html` by default, or `json` for the data.
    #[cfg_attr(feature = "openapi", param(pattern = "^(html|json)$"))]
    pub(super) format: Option<String>,
}

/// The parameters of [`PageQuery`], as the router checks them.
pub(in crate::api) const PARAMETERS: &[Parameter] = &[
    ("range", "15m, 1h, 24h or 7d"),
    ("window", "such as 5m, or all"),
    ("name", "of an endpoint, a query, a call or a task"),
    ("sort", "a column"),
    ("q", "a part of a name"),
    ("page", "from 1"),
    ("finding", "ids of findings"),
    ("format", "html or json"),
];

impl PageQuery {
    /// Returns those parameters that the report knows too.
    pub(super) fn of_report(&self) -> ReportQuery {
        ReportQuery { window: self.window.clone(), format: self.format.clone() }
    }
}

impl Place {
    /// Reads an address.
    ///
    /// # Errors
    ///
    /// Returns an error for a value that is none of its parameter's.
    pub(super) fn read(view: View, query: PageQuery, core: &Core) -> Result<Self, ApiError> {
        let range = match query.range.as_deref() {
            None => Range::default(),
            Some(name) => Range::ALL
                .into_iter()
                .find(|range| range.name() == name)
                .ok_or_else(|| ApiError::bad_request("range must be 15m, 1h, 24h or 7d"))?,
        };
        let window = match query.window {
            None => Some(DEFAULT_WINDOW.min(core.longest_window())),
            Some(all) if all == "all" => None,
            Some(window) => Period { window: Some(window) }.length(core)?,
        };
        let page = match query.page.as_deref() {
            None => 1,
            Some(text) => text
                .parse()
                .ok()
                .filter(|page| (1..1_000_000).contains(page))
                .ok_or_else(|| ApiError::bad_request("page must be a whole number from 1"))?,
        };
        // Those that are there: of others a page would only repeat what it was given.
        let opened = query.finding.unwrap_or_default();
        let findings = match opened.is_empty() {
            true => Vec::new(),
            false => core
                .judgement()
                .firing
                .iter()
                .map(|one| one.id())
                .filter(|id| opened.split(',').any(|open| open == id))
                .take(FINDINGS)
                .collect(),
        };
        Ok(Self {
            view,
            name: query.name.filter(|name| !name.is_empty()).map(|name| names::shown(name).into_owned()),
            range,
            window,
            sort: query.sort.as_deref().and_then(Sort::read),
            filter: query.q.unwrap_or_default().trim().chars().take(LONGEST_FILTER).collect(),
            page,
            findings,
        })
    }

    /// Returns another view, which looks as far back.
    pub(super) fn of(&self, view: View) -> Self {
        let Self { range, window, .. } = *self;
        Self { view, name: None, range, window, sort: None, filter: String::new(), page: 1, findings: Vec::new() }
    }

    /// Returns the page of one endpoint, query, call or task.
    pub(super) fn about(&self, view: View, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self.of(view) }
    }

    /// Returns where `/performance` is from here, as a relative address.
    pub(super) fn root(&self) -> &'static str {
        self.view.root()
    }

    /// Returns the address of another place, from here.
    pub(super) fn link(&self, to: &Self) -> String {
        let mut link = self.root().to_owned();
        if to.view != View::Overview {
            link += "/view/";
            link += to.view.path();
        }
        let mut mark = '?';
        for (name, value) in to.parameters() {
            let _ = write!(link, "{mark}{name}={}", utf8_percent_encode(&value, IN_VALUES));
            mark = '&';
        }
        link
    }

    /// Returns the parameters of its address, each with its value.
    pub(super) fn parameters(&self) -> Vec<(&'static str, String)> {
        let mut all = Vec::new();
        all.extend(self.name.clone().map(|name| ("name", name)));
        all.extend((self.range != Range::default()).then(|| ("range", self.range.name().to_owned())));
        all.extend(match self.window {
            Some(DEFAULT_WINDOW) => None,
            Some(window) => Some(("window", format!("{}s", window.as_secs()))),
            None => Some(("window", "all".to_owned())),
        });
        if let Some(Sort { by, ascending }) = &self.sort {
            all.push(("sort", format!("{}{by}", if *ascending { "" } else { "-" })));
        }
        all.extend((!self.filter.is_empty()).then(|| ("q", self.filter.clone())));
        all.extend((self.page > 1).then(|| ("page", self.page.to_string())));
        all.extend((!self.findings.is_empty()).then(|| ("finding", self.findings.join(","))));
        all
    }

    /// Returns the parameter of the API that looks as far back; empty for everything since the start.
    pub(super) fn api_window(&self, mark: &str) -> String {
        self.window.map_or_else(String::new, |window| format!("{mark}window={}s", window.as_secs()))
    }

    /// Returns the address of the data of its view, below `/performance/`.
    pub(super) fn own_data(&self) -> String {
        let mut link = format!("view/{}?format=json", self.view.path());
        for (name, value) in self.parameters().into_iter().filter(|(name, _)| ["name", "window"].contains(name)) {
            let _ = write!(link, "&{name}={}", utf8_percent_encode(&value, IN_VALUES));
        }
        link
    }

    /// Returns the address of an answer of the API, from here.
    pub(super) fn api(&self, path: &str) -> String {
        format!("{}/{path}", self.root())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::api::page) fn place(view: View) -> Place {
        Place {
            view,
            name: None,
            range: Range::default(),
            window: Some(DEFAULT_WINDOW),
            sort: None,
            filter: String::new(),
            page: 1,
            findings: Vec::new(),
        }
    }

    #[test]
    fn an_address_says_what_differs_from_the_usual() {
        let (overview, endpoints) = (place(View::Overview), place(View::Endpoints));
        assert_eq!(overview.link(&overview), "performance");
        assert_eq!(overview.link(&endpoints), "performance/view/endpoints");
        assert_eq!(endpoints.link(&overview), "../../performance");
        let all = Place {
            name: Some("GET /a b?&\"<é".to_owned()),
            range: Range::Week,
            window: None,
            sort: Some(Sort { by: "p95".to_owned(), ascending: true }),
            filter: "x y".to_owned(),
            page: 3,
            findings: vec!["1f".to_owned(), "2e".to_owned()],
            ..endpoints.clone()
        };
        assert_eq!(
            endpoints.link(&all),
            "../../performance/view/endpoints?name=GET%20/a%20b%3F%26%22%3C%C3%A9&range=7d&window=all&sort=p95&q=x%20y\
             &page=3&finding=1f,2e"
        );
    }

    #[test]
    fn each_view_has_a_path_of_its_own() {
        for view in View::ALL.into_iter().skip(1) {
            assert_eq!(View::of_path(view.path()), Some(view));
        }
        assert_eq!((View::of_path(""), View::of_path("x")), (None, None));
    }
}
