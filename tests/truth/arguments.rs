//! The arguments of the test binary, those that `cargo test` passes to every test binary included.

/// What this process is.
pub(crate) enum Mode {
    /// The runner of the services.
    Run,
    /// Asked for the names of its tests: it has none that another program could run singly.
    List,
    /// The service with this name, started by the runner.
    Serve(String),
    /// A busy neighbour, started by the runner.
    Spin,
}

pub(crate) struct Arguments {
    pub(crate) mode: Mode,
    /// Every service, not only the short form.
    pub(crate) all: bool,
    /// Beside a busy neighbour on every core.
    pub(crate) busy: bool,
    /// Services that run at the same time.
    pub(crate) jobs: usize,
    /// Parts of the names of the services to run; without any, `all` decides.
    pub(crate) names: Vec<String>,
}

impl Arguments {
    /// Reads the arguments. Options of the standard test harness, such as `--nocapture`, mean nothing here.
    pub(crate) fn read(arguments: impl Iterator<Item = String>) -> Self {
        let mut read = Self { mode: Mode::Run, all: false, busy: false, jobs: 2, names: Vec::new() };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--all" => read.all = true,
                "--busy" => read.busy = true,
                "--jobs" => {
                    let jobs = arguments.next().and_then(|jobs| jobs.parse().ok());
                    read.jobs = jobs.filter(|jobs| *jobs > 0).expect("--jobs takes a number from 1, such as --jobs 2");
                }
                "--list" => read.mode = Mode::List,
                "--serve" => read.mode = Mode::Serve(arguments.next().expect("the runner names the service")),
                "--spin" => read.mode = Mode::Spin,
                // Of the standard harness, with a value.
                "--test-threads" | "--skip" | "--color" | "--format" | "-Z" | "--logfile" => drop(arguments.next()),
                option if option.starts_with('-') => {}
                name => read.names.push(name.to_owned()),
            }
        }
        read
    }
}
