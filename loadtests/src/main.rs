//! The `loadtest` binary.

use std::process::ExitCode;

use pinchpoint_loadtests::LoadTest;

fn main() -> ExitCode {
    LoadTest::new().run()
}
