//! A busy neighbour: a process that computes until its standard input closes.

use std::{
    hint::black_box,
    io::Read as _,
    process::{Child, Command, ExitCode, Stdio},
    thread,
};

/// Computes until the runner closes the standard input, or ends.
pub(crate) fn until_stdin_closes() -> ExitCode {
    thread::spawn(|| {
        let mut number = 1_u64;
        loop {
            number = black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        }
    });
    let _ = std::io::stdin().read(&mut [0]);
    ExitCode::SUCCESS
}

/// Busy neighbours, which end when this is dropped.
pub(crate) struct Neighbours(Vec<Child>);

impl Neighbours {
    /// Starts `number` of them, all on one core if `core` is given.
    pub(crate) fn start(number: usize, core: Option<usize>) -> Self {
        let start = |_| command(core).arg("--spin").stdin(Stdio::piped()).spawn().expect("this program starts itself");
        Self((0..number).map(start).collect())
    }
}

impl Drop for Neighbours {
    fn drop(&mut self) {
        for mut child in self.0.drain(..) {
            // Closes its standard input first.
            let _ = child.wait();
        }
    }
}

/// Returns the command that starts this program again, on one core if `core` is given.
pub(crate) fn command(core: Option<usize>) -> Command {
    let program = std::env::current_exe().expect("a running program has a path");
    match core {
        None => Command::new(program),
        Some(core) => {
            let mut command = Command::new("taskset");
            command.args(["-c", &core.to_string()]).arg(program);
            command
        }
    }
}
