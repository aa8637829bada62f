//! The default rule files, compiled in.

/// Path and text of each; a service without a rule directory runs on them.
pub(super) const EMBEDDED: &[(&str, &str)] = &[
    ("rules/database.yaml", include_str!("../../../rules/database.yaml")),
    ("rules/endpoints.yaml", include_str!("../../../rules/endpoints.yaml")),
    ("rules/process.yaml", include_str!("../../../rules/process.yaml")),
    ("rules/tasks.yaml", include_str!("../../../rules/tasks.yaml")),
    ("rules/traffic.yaml", include_str!("../../../rules/traffic.yaml")),
    ("rules/versions.yaml", include_str!("../../../rules/versions.yaml")),
];
