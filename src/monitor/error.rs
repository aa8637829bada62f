//! [`BuildError`].

/// Why a monitor could not be built or installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// It was built outside a tokio runtime, which its background tasks need.
    #[error(
        "a monitor runs background work and was built outside a tokio runtime; build it inside #[tokio::main] or \
         Runtime::block_on"
    )]
    NoRuntime,
    /// The process already has a `metrics` recorder.
    #[error(
        "the process already has a metrics recorder: your own, or one that a library or another thread installed first, and there \
         is room for one. To keep it, build it instead of installing it and pass it on: \
         Monitor::builder().with_recorder(PrometheusBuilder::new().build_recorder()).install(). A recorder that is installed \
         after the monitor fails in turn. A second monitor in the process, as in a test suite, needs no recorder: use build()"
    )]
    RecorderInstalled,
    /// The rule files are wrong.
    #[error("the rules could not be loaded")]
    Rules(#[from] crate::rules::LoadError),
    /// The system refused one of the monitor's own threads, on which it reads files.
    #[error("the system refused a thread to read files on")]
    Thread(#[source] std::io::Error),
    /// A receiver of alerts cannot be used. Shows no secret.
    #[cfg(feature = "deliver")]
    #[error("{}the receiver of alerts {receiver} cannot be used: {problem}", before(.place.as_deref()))]
    Receiver {
        /// The file with line and column, or the environment variable; `None` where the program has it.
        place: Option<String>,
        /// Its name.
        receiver: String,
        /// What is wrong with it, and what was expected.
        problem: String,
    },
    /// A setting is out of its range.
    #[error("{setting} is {found}; expected {expected}")]
    Setting {
        /// The setting, as [`Settings`](crate::Settings) calls it.
        setting: &'static str,
        /// Its value.
        found: String,
        /// Its range.
        expected: &'static str,
    },
    /// Several receivers of alerts cannot be used, or one for several reasons: an error for each.
    #[cfg(feature = "deliver")]
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Several(Vec<BuildError>),
}

/// Returns a place as compilers write it before an error.
#[cfg(feature = "deliver")]
fn before(place: Option<&str>) -> String {
    place.map(|place| format!("{place}: ")).unwrap_or_default()
}
