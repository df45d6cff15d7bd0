//! Signals and the command timeout, from the first moment of the program on.
//!
//! While a command reads and checks, either ends it at once: nothing was sent. An apply that has
//! begun is stopped by the first and left by the second. Handlers stand from the beginning, because
//! a signal without one is lost where its default action is not to end the process: in process 1 of
//! a container, and where whoever started us ignores it.

use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::time::Duration;

use temporal_manifest::apply::refusal::{Code, Kind, Refusal};
use temporal_manifest::apply::stop::Stop;
use temporal_manifest::manifest::inputs::FilesRead;
use temporal_manifest::run::event::Stopped;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::Instant;

use super::args::{Cli, Command};
use super::exit::Exit;
use super::{command_line, failure, output, report_files};

/// Signals this soon after the first one are the same one: `timeout`, shells and process managers
/// send a signal to a process and to its group, so that it arrives twice.
const SAME_SIGNAL: Duration = Duration::from_millis(500);

/// Longest time that the last words may take where nobody reads them.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Longest time that the reports of an apply may take that is ended before it began.
const LAST_REPORTS: Duration = Duration::from_secs(5);

/// `SIGXFSZ` of Linux, macOS and the BSDs; Tokio has no name for it.
const SIZE_LIMIT_EXCEEDED: i32 = 25;

/// What listens to signals, on a thread of its own, as long as the program runs.
pub(crate) struct Signals {
    phase: Arc<Mutex<Phase>>,
    limits: watch::Sender<Limits>,
    began: Instant,
}

/// What a signal meets.
enum Phase {
    /// Nothing was sent yet.
    Preparing,
    /// Starts are made, and stopped by this.
    Applying(Stop),
}

/// What is known of the command once its flags are read.
#[derive(Clone, Default)]
struct Limits {
    cli: Option<Arc<Cli>>,
    files_read: FilesRead,
    deadline: Option<Instant>,
}

impl Signals {
    /// Begins to listen. Where the system lets us have no thread, a signal does what it does to a
    /// program that does not listen.
    pub(crate) fn listen() -> Self {
        let phase = Arc::new(Mutex::new(Phase::Preparing));
        let (limits, known) = watch::channel(Limits::default());
        let (ready, is_ready) = mpsc::channel();
        let shared = Arc::clone(&phase);
        let thread = std::thread::Builder::new().name("signals".to_owned());
        let thread = thread.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            if let Ok(runtime) = runtime {
                runtime.block_on(watch_over(&shared, known, ready));
            }
        });
        if thread.is_ok() {
            // It says so or is gone: either way there is nothing more to wait for.
            let _ = is_ready.recv();
        }
        Signals {
            phase,
            limits,
            began: Instant::now(),
        }
    }

    /// Tells how errors are shown, where reports go and must not, and how long the command may take.
    pub(crate) fn limit(&self, cli: &Arc<Cli>, files_read: &FilesRead) {
        let timeout = cli.global.command_timeout;
        self.limits.send_replace(Limits {
            cli: Some(Arc::clone(cli)),
            files_read: files_read.clone(),
            deadline: timeout.map(|timeout| self.began + timeout),
        });
    }

    /// From now on a signal stops an apply. One that came before has ended the program.
    pub(crate) fn stop_with(&self, stop: Stop) {
        *lock(&self.phase) = Phase::Applying(stop);
    }
}

fn lock(phase: &Mutex<Phase>) -> MutexGuard<'_, Phase> {
    phase
        .lock()
        .expect("nothing panics while it holds this lock")
}

/// Waits for the first thing that ends the command, and then for impatience.
async fn watch_over(
    phase: &Mutex<Phase>,
    mut known: watch::Receiver<Limits>,
    ready: mpsc::Sender<()>,
) {
    survive_size_limits();
    let Ok(mut caught) = Caught::handle() else {
        return;
    };
    // Whoever waits for this is there.
    let _ = ready.send(());
    let stopped = loop {
        let deadline = known.borrow_and_update().deadline;
        tokio::select! {
            signal = caught.next() => break Stopped::Interrupt { signal },
            () = sleep_until(deadline) => break Stopped::Timeout,
            Ok(()) = known.changed() => {}
        }
    };
    let first = Instant::now();
    {
        match &*lock(phase) {
            // Under the lock: an apply that would begin now waits for the end of the program.
            Phase::Preparing => leave(&stopped, known.borrow().clone()),
            Phase::Applying(stop) => stop.stop(stopped),
        }
    }
    output::say("stopping: settling what is in flight; interrupt again to leave at once");
    loop {
        let signal = caught.next().await;
        if first.elapsed() >= SAME_SIGNAL {
            std::process::exit(128 + signal);
        }
    }
}

/// Ends the program before anything was sent.
fn leave(stopped: &Stopped, known: Limits) -> ! {
    let (code, kind, words) = match stopped {
        Stopped::Interrupt { signal } => {
            let kind = Kind::Interrupted { signal: *signal };
            (Code::Interrupted, kind, verb(*signal))
        }
        _ => (Code::Timeout, Kind::Timeout, "the command timeout passed"),
    };
    let refusal = Refusal::new(code, kind, format!("{words}: nothing was sent"));
    // Reports get it whether or not it can be said.
    let document = failure::document(&refusal);
    let Limits {
        cli, files_read, ..
    } = known;
    let format = cli.as_ref().and_then(|cli| cli.global.output);
    // Somebody may hold standard output, or nobody read it: then there are no last words.
    within(LAST_WORDS, move || failure::error(&refusal, format));
    within(LAST_REPORTS, move || match cli.as_deref() {
        Some(cli) => {
            if let Command::Apply(args) = &cli.command {
                report_files::replace(args, &cli.global, &files_read, &document);
            }
        }
        None => report_files::replace_unparsed(&command_line::words(), &document),
    });
    std::process::exit(Exit::from(kind).code().into())
}

/// Does something on a thread of its own and waits for it so long, as it may never end.
fn within(limit: Duration, work: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    let thread = std::thread::Builder::new().spawn(move || {
        work();
        let _ = done.send(());
    });
    if thread.is_ok() {
        let _ = is_done.recv_timeout(limit);
    }
}

/// What a signal does to a program, as people say it.
fn verb(signal: i32) -> &'static str {
    match signal {
        HANGUP => "hung up",
        TERMINATE => "terminated",
        _ => "interrupted",
    }
}

const HANGUP: i32 = 1;
const INTERRUPT: i32 = 2;
const TERMINATE: i32 = 15;

/// The signals that we handle.
struct Caught {
    interrupt: Signal,
    terminate: Signal,
    /// `None` if whoever started us wants the program to outlive the terminal.
    hangup: Option<Signal>,
}

impl Caught {
    fn handle() -> std::io::Result<Self> {
        let hangup = !ignores(HANGUP);
        Ok(Caught {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: hangup.then(|| signal(SignalKind::hangup())).transpose()?,
        })
    }

    async fn next(&mut self) -> i32 {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => INTERRUPT,
            _ = self.terminate.recv() => TERMINATE,
            _ = hangup => HANGUP,
        }
    }
}

/// Whether a signal is ignored, as `nohup` has it. Linux tells without `unsafe`; elsewhere it is
/// taken for no.
fn ignores(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    is_in(&status, signal)
}

/// Whether a signal is in the set of ignored ones of a `/proc/PID/status`.
fn is_in(status: &str, signal: i32) -> bool {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let set = line.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    set.is_some_and(|set| set >> (signal - 1) & 1 == 1)
}

/// Makes a write beyond the limit of a file's size (`ulimit -f`) an error as on a full disk, which
/// is told and answered with an orderly end. By default it ends the process in the middle of its
/// starts, without a word.
fn survive_size_limits() {
    // The handler stays when this is dropped. Without one it is as before.
    drop(signal(SignalKind::from_raw(SIZE_LIMIT_EXCEEDED)));
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_set() {
        let status =
            |set: &str| format!("Name:\tx\nSigBlk:\tffff\nSigIgn:\t{set}\nSigCgt:\tffff\n");
        assert!(is_in(&status("0000000000001001"), HANGUP));
        assert!(!is_in(&status("0000000000001000"), HANGUP));
        assert!(is_in(&status("0000000000004000"), TERMINATE));
        assert!(!is_in("", HANGUP));
    }
}
