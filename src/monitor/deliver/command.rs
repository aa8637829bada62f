//! Runs a command: a body on its standard input, and a time limit.

use std::{process::Stdio, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, Command},
    time::timeout,
};

use super::sender::{Answer, BEGINNING};
use crate::{alert::deliver::Reply, rules::Unit};

/// How long a killed command is waited for, so that it leaves no zombie.
const REAPING: Duration = Duration::from_secs(1);

/// Runs a program with arguments, without a shell. It is killed when it has not ended after `limit` or when the future is dropped, as
/// at the end of the service; where the system is Linux, with what it started.
pub(super) async fn run(command: &[String], body: &[u8], limit: Duration) -> Answer {
    let [program, arguments @ ..] = command else { return failed("no command", String::new()) };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    #[cfg(unix)]
    command.process_group(0);
    let mut running = match command.spawn() {
        Ok(child) => Running(child),
        Err(error) => return failed(&format!("it cannot be started: {error}"), String::new()),
    };
    let mut said = Vec::new();
    let ended = timeout(limit, communicate(&mut running.0, body, &mut said)).await;
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    match ended {
        Ok(Ok(status)) if status.success() => Answer { reply: Reply::Accepted, status: status.to_string(), body: said },
        Ok(Ok(status)) => failed(&status.to_string(), said),
        Ok(Err(error)) => failed(&format!("it cannot be waited for: {error}"), said),
        Err(_) => {
            running.kill().await;
            failed(&format!("it was killed after {}", Unit::Seconds.render(limit.as_secs_f64())), said)
        }
    }
}

/// Writes the body and reads what the command says, until it ends.
async fn communicate(child: &mut Child, body: &[u8], said: &mut Vec<u8>) -> std::io::Result<std::process::ExitStatus> {
    let (input, output) = (child.stdin.take(), child.stderr.take());
    let write = async {
        if let Some(mut input) = input {
            // A command need not read it.
            let _ = input.write_all(body).await;
        }
    };
    let read = async {
        let Some(mut output) = output else { return };
        let mut part = [0; 1024];
        // To the end, so that a command that says much is not held up.
        while let Ok(length @ 1..) = output.read(&mut part).await {
            let room = BEGINNING.saturating_sub(said.len());
            said.extend_from_slice(&part[..length.min(room)]);
        }
    };
    let talk = async {
        tokio::join!(write, read);
        // The end of its output is not its end.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        // What it said last is there before its end is.
        biased;
        () = talk => unreachable!("it never ends"),
        status = child.wait() => status,
    }
}

/// A command, and the group of processes that it leads.
struct Running(Child);

impl Running {
    /// Sends the signal to what it started, too.
    fn signal(&self) {
        // A command that has ended has no id any more: its number may be another's.
        #[cfg(target_os = "linux")]
        if let Some(id) = self.0.id().and_then(|id| i32::try_from(id).ok()) {
            // An error means that it is gone.
            let _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGKILL);
        }
    }

    async fn kill(mut self) {
        self.signal();
        let _ = self.0.start_kill();
        let _ = timeout(REAPING, self.0.wait()).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal();
    }
}

/// A command that fails is tried again: what it calls may be down.
fn failed(error: &str, body: String) -> Answer {
    let reply = Reply::Failed { error: error.to_owned(), retry_after: None };
    Answer { reply, status: error.to_owned(), body }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn command(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[track_caller]
    fn error(answer: &Answer) -> &str {
        let Reply::Failed { error, .. } = &answer.reply else { panic!("{answer:?}") };
        error
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_command_reads_the_body_and_its_arguments_are_no_shells() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("$(copy)");
        let of = format!("of={}", path.display());
        let answer = run(&command(&["dd", &of]), b"{\"a\": 1}", LONG).await;
        assert_eq!(answer.reply, Reply::Accepted, "{answer:?}");
        assert_eq!(std::fs::read_to_string(path).expect("written"), "{\"a\": 1}");
    }

    #[tokio::test]
    async fn a_command_that_fails_is_tried_again_and_what_it_said_is_kept() {
        let answer = run(&command(&["sh", "-c", "echo no mail >&2; exit 3"]), b"{}", LONG).await;
        assert_eq!((error(&answer), answer.body.as_str()), ("exit status: 3", "no mail"));
        let answer = run(&command(&["/no/such/program"]), b"{}", LONG).await;
        assert!(error(&answer).starts_with("it cannot be started: "), "{answer:?}");
    }

    #[tokio::test]
    async fn a_command_that_reads_nothing_and_says_much_is_not_held_up() {
        let body = vec![b'x'; 1 << 20];
        let answer = run(&command(&["sh", "-c", "head -c 300000 /dev/zero >&2"]), &body, LONG).await;
        assert_eq!(answer.reply, Reply::Accepted);
        assert!(answer.body.len() <= BEGINNING);
    }

    /// A command that runs until it is killed, as does what it starts, and whose process the file then names.
    fn endless(file: &std::path::Path) -> Vec<String> {
        let (file, part) = (file.display(), file.with_extension("part"));
        let part = part.display();
        command(&["sh", "-c", &format!("sleep 600 & echo $! > {part}; mv {part} {file}; wait")])
    }

    /// Waits until something comes true.
    async fn until(wanted: impl Fn() -> bool) {
        for _ in 0..1_000 {
            if wanted() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it never comes true");
    }

    /// Waits until the process that the file names is gone, or not yet reaped by init. The signal was sent; on a busy machine its
    /// effect takes a moment.
    #[cfg(target_os = "linux")]
    async fn until_over(file: &std::path::Path) {
        let child = std::fs::read_to_string(file).expect("written");
        let stat = || std::fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
        until(|| stat().is_empty() || stat().contains(" Z ")).await;
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_command_that_is_given_up_is_killed_with_what_it_started() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("child");
        let words = endless(&file);
        tokio::select! {
            answer = run(&words, b"{}", LONG) => panic!("{answer:?}"),
            () = until(|| file.exists()) => {}
        }
        until_over(&file).await;
    }

    /// The command's child has the pipe open, too: that must not keep the command from being ended.
    #[tokio::test]
    async fn a_command_is_killed_at_its_limit_with_what_it_started() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("child");
        let answer = run(&endless(&file), b"{}", Duration::from_millis(500)).await;
        assert_eq!(error(&answer), "it was killed after 500ms");
        #[cfg(target_os = "linux")]
        until_over(&file).await;
    }
}
