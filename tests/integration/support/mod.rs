//! What several topics need: servers to talk to, real and fake, and the program itself.
#![allow(
    dead_code,
    reason = "helpers serve several topics, and a topic under construction may not use all yet"
)]
#![allow(
    unreachable_pub,
    reason = "`pub` tells what topics may use from what a helper keeps to itself"
)]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests run against real processes, real time and the environment of the caller"
)]

pub mod binary;
pub mod dev_server;
pub mod fake_frontend;
pub mod raw_server;
pub mod report;
pub mod slow_proxy;
pub mod workflows;

use std::future::Future;
use std::io::Write;
use std::time::Duration;

/// Pause between two questions to something that cannot notify us, such as a process that is
/// starting.
const POLL_PAUSE: Duration = Duration::from_millis(20);

/// Task Queue of the test worker.
pub const SERVED: &str = "manifest-test";

/// A Task Queue without a Worker, for Workflows that need not run.
pub const UNSERVED: &str = "manifest-test-unserved";

/// A Workflow ID no other test uses, so that tests may share a server and run side by side.
pub fn unique_id(prefix: &str) -> String {
    format!("{prefix}-{}", uuid::Uuid::new_v4().simple())
}

/// Runs `future` to its end on a thread of its own.
///
/// Works in plain tests and inside a Tokio runtime alike, where blocking on a future in place
/// would panic.
pub fn block_on<F>(future: F) -> F::Output
where
    F: Future + Send,
    F::Output: Send,
{
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a small runtime can be built")
                    .block_on(future)
            })
            .join()
            .expect("the future does not panic")
    })
}

/// Asks something that cannot notify us until it has an answer.
#[track_caller]
pub fn poll_until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "{what}: not in a minute"
        );
        std::thread::sleep(POLL_PAUSE);
    }
}

/// Where programs are found.
pub fn search_path() -> std::ffi::OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

/// Whether committed files are to be written anew instead of compared.
pub fn update_is_wanted() -> bool {
    #[expect(clippy::disallowed_methods, reason = "a switch for developers")]
    std::env::var_os("TEMPORAL_MANIFEST_UPDATE").is_some()
}

/// Says loudly that a part of a test was left out.
pub fn say_skipped(reason: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // Not a print macro: the test harness would hide it, as the test passes.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {reason}");
}

/// Whether tests that are short by default are to run at their full length.
pub fn full_length_is_wanted() -> bool {
    std::env::var("TEMPORAL_MANIFEST_TEST_FULL").is_ok_and(|value| value == "1")
}

/// Says which random numbers a test is to use.
pub const SEED: &str = "TEMPORAL_MANIFEST_TEST_SEED";

/// The seed that is to be played again.
pub fn asked_seed() -> Option<u64> {
    std::env::var(SEED).ok().and_then(|seed| seed.parse().ok())
}

/// Random numbers, with a word on how to get the same ones again.
pub fn dice() -> fastrand::Rng {
    let seed = asked_seed().unwrap_or_else(|| fastrand::u64(..));
    // Not a print macro: the test harness would hide it until the end, which a hang has not.
    let _ = writeln!(std::io::stderr(), "{SEED}={seed}");
    fastrand::Rng::with_seed(seed)
}
