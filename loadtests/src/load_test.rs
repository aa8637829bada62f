//! The public face: a load tester with the whole command line, with or without scenarios in Rust.

use std::{fmt, io::Write as _, process::ExitCode};

use crate::{
    cli::{Cli, CliError, Command, Mode},
    engine::{Actor, Code, IterationFuture, User},
    interrupt::Interrupt,
    limits::raise_open_files,
    mode::{ToolError, check_files, compare_files, run_load_test, run_monitor, run_profile},
    printable::printable_lines,
    verdict::Conclusion,
};

/// The load tester.
///
/// `loadtest` itself is `LoadTest::new().run()`. With scenarios of its own a program has the same command line:
///
/// ```no_run
/// use pinchpoint_loadtest::{LoadTest, Scenario};
///
/// fn main() -> std::process::ExitCode {
///     let buyer = Scenario::new("buyer", |user| {
///         Box::pin(async move {
///             let products = user.get("/api/products").await?.json()?;
///             let id = &products[0]["id"];
///             user.request(pinchpoint_loadtest::Method::GET, &format!("/api/products/{id}"))
///                 .name("/api/products/{id}")
///                 .send()
///                 .await?;
///             Ok(())
///         })
///     });
///     LoadTest::new().scenario(buyer.weight(3)).run()
/// }
/// ```
#[derive(Debug, Default)]
pub struct LoadTest {
    actors: Vec<Actor>,
}

impl LoadTest {
    /// Returns a load tester without scenarios in Rust.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a scenario. It runs beside the scenarios of `--scenario` files, and not if the command line has `--endpoints`.
    #[must_use]
    pub fn scenario(mut self, scenario: Scenario) -> Self {
        self.actors.push(Actor::from_code(&scenario.name, scenario.weight, scenario.code));
        self
    }

    /// Runs the mode that the command line names and returns the exit code.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let cli = match Cli::read(std::env::args_os()) {
            Ok(cli) => cli,
            Err(CliError::Clap(error)) => {
                // Clap prints help to standard output and mistakes to standard error. Its exit codes, 0 and 2, are also ours.
                _ = error.print();
                return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
            }
            Err(error @ CliError::NotInMode { .. }) => return refuse(&error),
        };
        match self.execute(&cli) {
            Ok(conclusion) => ExitCode::from(conclusion.exit_code()),
            Err(error) => refuse(&error),
        }
    }

    fn execute(self, cli: &Cli) -> Result<Conclusion, ToolError> {
        raise_open_files();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(ToolError::Runtime)?;
        let interrupt = Interrupt::listen();
        runtime.block_on(async {
            match (&cli.command, cli.mode) {
                (Some(Command::Run(arguments)), _) => run_load_test(arguments, &self.actors, &interrupt).await,
                (Some(Command::Check { files }), _) => check_files(files),
                (Some(Command::Profile(arguments)), _) => run_profile(arguments, &self.actors, &interrupt).await,
                (Some(Command::Monitor(arguments)), _) => run_monitor(arguments, &interrupt).await,
                (Some(Command::Compare { old, new }), _) => compare_files(old, new),
                (None, Mode::LoadTest) => run_load_test(&cli.load_test, &self.actors, &interrupt).await,
                (None, Mode::Profile) => run_profile(&cli.to_profile(), &self.actors, &interrupt).await,
                (None, Mode::Monitor) => run_monitor(&cli.to_monitor(), &interrupt).await,
            }
        })
    }
}

/// Prints an error with all its causes and returns the exit code of a set-up error.
fn refuse(error: &dyn std::error::Error) -> ExitCode {
    let mut text = format!("error: {error}");
    let mut cause = error;
    while let Some(source) = cause.source() {
        text.push_str(&format!(": {source}"));
        cause = source;
    }
    _ = writeln!(std::io::stderr(), "{}", printable_lines(&text));
    ExitCode::from(Conclusion::SetUpError.exit_code())
}

/// A scenario in Rust: what one kind of user does in an iteration.
pub struct Scenario {
    name: String,
    weight: usize,
    code: Box<Code>,
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scenario").field("name", &self.name).field("weight", &self.weight).finish_non_exhaustive()
    }
}

impl Scenario {
    /// Returns a scenario of weight 1.
    pub fn new<F>(name: &str, iteration: F) -> Self
    where
        F: for<'u> Fn(&'u mut User) -> IterationFuture<'u> + Send + Sync + 'static,
    {
        Self { name: name.to_owned(), weight: 1, code: Box::new(iteration) }
    }

    /// Sets its share of the users, against the other scenarios' weights.
    ///
    /// # Panics
    /// On a weight of 0.
    #[must_use]
    #[track_caller]
    pub fn weight(mut self, weight: usize) -> Self {
        assert!(weight > 0, "a scenario of weight 0 would never run");
        self.weight = weight;
        self
    }
}
