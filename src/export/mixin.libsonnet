local files = {
  'in-process': import 'mixin.in-process.json',
  rules: import 'mixin.rules.json',
};

// The groups of a file with those of their rules that have `key`: alerts or recording rules.
local having(key, file, suffix, more) = [
  group { name: group.name + suffix, rules: rules }
  for group in file.groups
  for rules in [[rule + more for rule in group.rules if std.objectHas(rule, key)]]
  if rules != []
];

{
  _config+:: {
    // Which alerts: `in-process` for those on what the monitors report, or `rules` for the rules, judged by Prometheus.
    alerts: 'in-process',
    // Labels that each alert gets, such as the team that it goes to.
    alertLabels: {},
    // Tags of the dashboards, beside `pinchpoint`.
    dashboardTags: [],
  },

  prometheusAlerts+:: {
    groups+: having('alert', files[$._config.alerts], '', { labels+: $._config.alertLabels }),
  },

  // Recording rules that the alerts `rules` read.
  prometheusRules+:: {
    groups+: having('record', files[$._config.alerts], '-records', {}),
  },

  grafanaDashboards+:: {
    [file]: dashboards[file] { tags+: $._config.dashboardTags }
    for file in std.objectFields(dashboards)
  },
}
