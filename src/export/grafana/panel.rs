//! [`Chart`]: a panel as a dashboard describes it, and [`laid_out`], which gives each its place.

use serde_json::{Value, json};

use super::{
    model::{Defaults, FieldConfig, GridPos, Override, PROMETHEUS, Panel, Target, fixed},
    series::{Series, label},
};
use crate::{
    RuleSet, names,
    rules::{Measure, Scope, Severity},
};

/// Units, as Grafana names them.
pub(super) const SECONDS: &str = "s";
pub(super) const RATIO: &str = "percentunit";
pub(super) const REQUESTS: &str = "reqps";
pub(super) const PER_SECOND: &str = "ops";
pub(super) const BYTES: &str = "bytes";
pub(super) const BYTES_PER_SECOND: &str = "Bps";
pub(super) const COUNT: &str = "short";

const WIDTH: u8 = 24;
const NO_DATA: &str = "No data: nothing of it happened in this time";
const DASHED: &str = "dash";

/// Panels under a heading.
pub(super) struct Row {
    pub(super) title: &'static str,
    pub(super) charts: Vec<Chart>,
}

/// One panel.
#[derive(Debug)]
pub(super) struct Chart {
    kind: &'static str,
    title: &'static str,
    description: String,
    width: u8,
    height: u8,
    unit: &'static str,
    max: Option<u8>,
    empty: &'static str,
    color: Value,
    thresholds: Value,
    custom: Value,
    options: Value,
    targets: Vec<Query>,
    overrides: Vec<Override>,
    /// Labels of a table, with their titles.
    labels: Vec<(&'static str, &'static str)>,
}

#[derive(Debug)]
struct Query {
    expression: String,
    legend: String,
    format: &'static str,
}

impl Chart {
    fn new(kind: &'static str, title: &'static str, description: &str, (width, height): (u8, u8)) -> Self {
        Self {
            kind,
            title,
            description: description.to_owned(),
            width,
            height,
            unit: COUNT,
            max: None,
            empty: NO_DATA,
            color: Value::Null,
            thresholds: Value::Null,
            custom: json!({}),
            options: Value::Null,
            targets: Vec::new(),
            overrides: Vec::new(),
            labels: Vec::new(),
        }
    }

    /// Lines over time.
    pub(super) fn lines(title: &'static str, description: &str) -> Self {
        let custom = json!({ "drawStyle": "line", "fillOpacity": 8, "lineWidth": 1, "showPoints": "never" });
        let legend = json!({ "calcs": ["lastNotNull", "max"], "displayMode": "table", "placement": "bottom", "showLegend": true });
        let options = json!({ "legend": legend, "tooltip": { "mode": "multi", "sort": "desc" } });
        Self { custom, options, ..Self::new("timeseries", title, description, (8, 9)) }
    }

    /// Areas that add up, over time.
    pub(super) fn stack(title: &'static str, description: &str) -> Self {
        let stacking = json!({ "group": "A", "mode": "normal" });
        let custom = json!({
            "drawStyle": "line", "fillOpacity": 60, "lineWidth": 0, "showPoints": "never", "stacking": stacking,
        });
        Self { custom, ..Self::lines(title, description) }
    }

    /// One number, with its course in the background.
    pub(super) fn number(title: &'static str, description: &str) -> Self {
        let reduce = json!({ "calcs": ["lastNotNull"], "fields": "", "values": false });
        let options = json!({
            "colorMode": "value", "graphMode": "area", "justifyMode": "auto", "orientation": "auto", "reduceOptions": reduce,
            "textMode": "auto",
        });
        let blue = json!({ "mode": "absolute", "steps": [{ "color": "blue", "value": null }] });
        Self { options, thresholds: blue, ..Self::new("stat", title, description, (4, 4)) }
    }

    /// What is now, a row for each subject.
    pub(super) fn table(title: &'static str, description: &str, labels: &[(&'static str, &'static str)]) -> Self {
        let custom = json!({ "align": "auto", "cellOptions": { "type": "auto" }, "filterable": true });
        let options = json!({ "cellHeight": "sm", "showHeader": true });
        Self { custom, options, labels: labels.to_vec(), ..Self::new("table", title, description, (24, 9)) }
    }

    /// When something was so.
    pub(super) fn timeline(title: &'static str, description: &str) -> Self {
        let legend = json!({ "displayMode": "list", "placement": "bottom", "showLegend": false });
        let options = json!({
            "legend": legend, "mergeValues": true, "rowHeight": 0.8, "showValue": "never", "tooltip": { "mode": "single", "sort": "none" },
        });
        let custom = json!({ "fillOpacity": 80, "lineWidth": 0 });
        let steps = json!([{ "color": "transparent", "value": null }, { "color": "orange", "value": 1 }]);
        let thresholds = json!({ "mode": "absolute", "steps": steps });
        let color = json!({ "mode": "thresholds" });
        Self { options, custom, thresholds, color, ..Self::new("state-timeline", title, description, (12, 9)) }
    }

    /// How many observations fell where, over time.
    pub(super) fn heatmap(title: &'static str, description: &str) -> Self {
        let color = json!({ "exponent": 0.5, "fill": "dark-orange", "mode": "scheme", "scale": "exponential", "scheme": "Oranges", "steps": 64 });
        let options = json!({
            "calculate": false, "cellGap": 1, "color": color, "exemplars": { "color": "rgba(255,0,255,0.7)" },
            "filterValues": { "le": 1e-9 }, "legend": { "show": true }, "rowsFrame": { "layout": "auto" },
            "showValue": "never", "tooltip": { "mode": "single", "yHistogram": true },
            "yAxis": { "axisPlacement": "left", "reverse": false, "unit": SECONDS },
        });
        Self { options, ..Self::new("heatmap", title, description, (12, 9)) }
    }

    /// Text in Markdown.
    pub(super) fn text(title: &'static str, content: &str) -> Self {
        let options = json!({ "content": content, "mode": "markdown" });
        Self { options, ..Self::new("text", title, "", (24, 4)) }
    }

    pub(super) fn unit(self, unit: &'static str) -> Self {
        Self { unit, ..self }
    }

    /// A share of a whole, from 0 to 1.
    pub(super) fn share(self) -> Self {
        Self { max: Some(1), ..self.unit(RATIO) }
    }

    pub(super) fn size(self, width: u8, height: u8) -> Self {
        Self { width, height, ..self }
    }

    /// Says why the panel may be empty, in it and in its description.
    pub(super) fn empty(self, reason: &'static str) -> Self {
        Self { empty: reason, description: format!("{} {reason}.", self.description), ..self }
    }

    /// Adds a line for each series of an expression.
    pub(super) fn query(mut self, expression: String, legend: &str) -> Self {
        let format = match self.kind {
            "heatmap" => "heatmap",
            _ => "time_series",
        };
        self.targets.push(Query { expression, legend: legend.to_owned(), format });
        self
    }

    /// Adds a column of a table.
    pub(super) fn column(mut self, title: &str, unit: &'static str, expression: String) -> Self {
        self.targets.push(Query { expression, legend: title.to_owned(), format: "table" });
        self.overrides.push(Override::named(title, [("unit", json!(unit))]));
        self
    }

    /// Draws the thresholds in force of the rules that judge one of `measures`.
    pub(super) fn thresholds(self, series: &Series, rules: &RuleSet, scope: Scope, measures: &[Measure]) -> Self {
        let Some(thresholds) = series.thresholds(rules, scope, measures) else { return self };
        let mut chart = self.query(thresholds, &format!("{}: {}", label(names::RULE), label(names::SEVERITY)));
        chart.description += " Dashed: the thresholds in force of the rules that judge it.";
        chart.overrides.extend(Severity::ALL.map(|severity| {
            let properties = [
                ("color", fixed(color(severity))),
                ("custom.fillOpacity", json!(0)),
                ("custom.lineStyle", json!({ "dash": [10, 10], "fill": DASHED })),
                ("custom.stacking", json!({ "group": "A", "mode": "none" })),
            ];
            Override::like(&format!("/: {severity}$/"), properties)
        }));
        chart
    }

    /// Gives the series of a name their colour.
    pub(super) fn color(mut self, name: &str, color: &str) -> Self {
        self.overrides.push(Override::named(name, [("color", fixed(color))]));
        self
    }

    /// Colours what is 1 or more, where it is a finding of this severity.
    pub(super) fn alarm(self, severity: Severity) -> Self {
        let steps = json!([{ "color": "green", "value": null }, { "color": color(severity), "value": 1 }]);
        Self { thresholds: json!({ "mode": "absolute", "steps": steps }), ..self }
    }

    /// Makes the cells of a column lead elsewhere.
    pub(super) fn link(mut self, column: &str, title: &str, url: &str) -> Self {
        let links = json!([{ "targetBlank": false, "title": title, "url": url }]);
        self.overrides.push(Override::named(column, [("links", links)]));
        self
    }

    /// Colours words in a column of a table.
    pub(super) fn words(mut self, column: &str, words: &[(&str, &str)]) -> Self {
        let colors = words.iter().map(|(word, color)| ((*word).to_owned(), json!({ "color": color })));
        let colors: serde_json::Map<String, Value> = colors.collect();
        let mappings = json!([{ "options": colors, "type": "value" }]);
        let cells = json!({ "type": "color-text" });
        self.overrides.push(Override::named(column, [("custom.cellOptions", cells), ("mappings", mappings)]));
        self
    }

    fn placed(self, id: usize, grid_pos: GridPos) -> Panel {
        let is_table = self.kind == "table";
        let transformations = if is_table { self.transformations() } else { Vec::new() };
        let mut options = self.options;
        if is_table && let Some(first) = self.targets.first() {
            options["sortBy"] = json!([{ "desc": true, "displayName": first.legend }]);
        }
        let defaults = Defaults {
            unit: self.unit,
            min: matches!(self.kind, "timeseries").then_some(0),
            max: self.max,
            no_value: self.empty,
            color: self.color,
            thresholds: self.thresholds,
            custom: self.custom,
        };
        let has_data = !self.targets.is_empty();
        let targets = self.targets.into_iter().enumerate().map(|(at, query)| Target {
            ref_id: reference(at),
            datasource: PROMETHEUS,
            expr: query.expression,
            legend_format: if is_table { String::new() } else { query.legend },
            instant: is_table,
            range: !is_table,
            format: query.format,
            editor_mode: "code",
        });
        Panel {
            id,
            kind: self.kind,
            title: self.title,
            description: self.description,
            grid_pos,
            datasource: has_data.then_some(PROMETHEUS),
            targets: targets.collect(),
            field_config: has_data.then_some(FieldConfig { defaults, overrides: self.overrides }),
            options,
            transformations,
            collapsed: None,
            panels: None,
        }
    }

    /// Joins the columns of a table by subject, names them and leaves out the time.
    fn transformations(&self) -> Vec<Value> {
        let value = |at: usize| match self.targets.len() {
            1 => "Value".to_owned(),
            _ => format!("Value #{}", reference(at)),
        };
        let values = self.targets.iter().enumerate().map(|(at, query)| (value(at), query.legend.clone()));
        let labels = self.labels.iter().map(|(label, title)| ((*label).to_owned(), (*title).to_owned()));
        let (mut names, mut places) = (serde_json::Map::new(), serde_json::Map::new());
        for (place, (name, title)) in labels.chain(values).enumerate() {
            names.insert(name.clone(), json!(title));
            places.insert(name, json!(place));
        }
        let organize = json!({ "excludeByName": { "Time": true }, "indexByName": places, "renameByName": names });
        vec![json!({ "id": "merge", "options": {} }), json!({ "id": "organize", "options": organize })]
    }
}

/// Returns the name of the n-th query of a panel: `A`, `B`, …
fn reference(at: usize) -> String {
    let letter = u8::try_from(at).ok().and_then(|at| b'A'.checked_add(at)).filter(u8::is_ascii_uppercase);
    char::from(letter.expect("a panel has few queries")).to_string()
}

/// Returns the colour of a severity.
pub(super) fn color(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "red",
        Severity::High => "orange",
        Severity::Medium => "yellow",
        Severity::Low => "blue",
    }
}

/// Gives each panel its place, from left to right and from top to bottom, and each row its heading.
pub(super) fn laid_out(rows: Vec<Row>) -> Vec<Panel> {
    let mut panels = Vec::new();
    let (mut y, mut id) = (0, 0);
    let mut next = || {
        id += 1;
        id
    };
    for row in rows {
        let heading = Chart::new("row", row.title, "", (WIDTH, 1));
        let mut heading = heading.placed(next(), GridPos { h: 1, w: WIDTH, x: 0, y });
        (heading.collapsed, heading.panels) = (Some(false), Some([]));
        panels.push(heading);
        y += 1;
        let (mut x, mut tallest) = (0, 0);
        for chart in row.charts {
            let (w, h) = (chart.width, chart.height);
            if x + w > WIDTH {
                y += u16::from(tallest);
                (x, tallest) = (0, 0);
            }
            panels.push(chart.placed(next(), GridPos { h, w, x, y }));
            (x, tallest) = (x + w, h.max(tallest));
        }
        y += u16::from(tallest);
    }
    panels
}
