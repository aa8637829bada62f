//! The `loadtest` binary.

use std::process::ExitCode;

use pinchpoint_loadtest::LoadTest;

fn main() -> ExitCode {
    LoadTest::new().run()
}
