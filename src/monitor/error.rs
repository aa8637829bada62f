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
        "the process already has a metrics recorder; call install() before other recorders are installed and pass them \
         to MonitorBuilder::with_recorder, or use build() and put Monitor::recorder() into your own fan-out"
    )]
    RecorderInstalled,
    /// The rule files are wrong.
    #[error("the rules could not be loaded")]
    Rules(#[from] crate::rules::LoadError),
    /// The system refused one of the monitor's own threads, on which it reads files.
    #[error("the system refused a thread to read files on")]
    Thread(#[source] std::io::Error),
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
}
