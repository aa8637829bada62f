//! The tool as a whole, with or without scenarios in Rust.

use std::fmt;
use std::future::Future;
use std::io::Write as _;
use std::pin::Pin;
use std::process::ExitCode;

use crate::cli::{Cli, CliError, Command, Mode};
use crate::engine::{Actor, Iteration, User};
use crate::interrupt::Interrupt;
use crate::limits::raise_open_files;
use crate::mode::{ToolError, compare_files, run_load_test, run_monitor, run_profile};
use crate::plan::describe_files;
use crate::verdict::Conclusion;

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

    /// Adds a scenario, which runs unless the command line names `--endpoints`.
    #[must_use]
    pub fn scenario(mut self, scenario: Scenario) -> Self {
        self.actors.push(Actor::from_code(&scenario.name, scenario.weight, scenario.code));
        self
    }

    /// Does what the command line asks for and returns the exit code.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let cli = match Cli::read(std::env::args_os()) {
            Ok(cli) => cli,
            Err(CliError::Clap(error)) => {
                // Clap prints help to standard output and mistakes to standard error; its codes, 0 and 2, are ours.
                _ = error.print();
                return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
            }
            Err(error @ CliError::NotInMode { .. }) => {
                _ = writeln!(std::io::stderr(), "error: {error}");
                return ExitCode::from(Conclusion::SetUpError.exit_code());
            }
        };
        match self.execute(&cli) {
            Ok(conclusion) => ExitCode::from(conclusion.exit_code()),
            Err(error) => {
                let mut text = format!("error: {error}");
                let mut cause: &dyn std::error::Error = &error;
                while let Some(source) = cause.source() {
                    text.push_str(&format!(": {source}"));
                    cause = source;
                }
                _ = writeln!(std::io::stderr(), "{text}");
                ExitCode::from(Conclusion::SetUpError.exit_code())
            }
        }
    }

    fn execute(self, cli: &Cli) -> Result<Conclusion, ToolError> {
        raise_open_files();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(ToolError::Runtime)?;
        let interrupt = Interrupt::listen();
        runtime.block_on(async {
            match (&cli.command, cli.mode) {
                (Some(Command::Run(arguments)), _) => run_load_test(arguments, &self.actors, &interrupt).await,
                (Some(Command::Check { files }), _) => {
                    let text = describe_files(files)?;
                    _ = std::io::stdout().lock().write_all(text.as_bytes());
                    Ok(Conclusion::Passed)
                }
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

type Code = Box<dyn for<'u> Fn(&'u mut User) -> Pin<Box<dyn Future<Output = Iteration> + Send + 'u>> + Send + Sync>;

/// A scenario in Rust: what one kind of user does in an iteration.
pub struct Scenario {
    name: String,
    weight: usize,
    code: Code,
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
        F: for<'u> Fn(&'u mut User) -> Pin<Box<dyn Future<Output = Iteration> + Send + 'u>> + Send + Sync + 'static,
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
