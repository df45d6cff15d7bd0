//! `apply`: validate, connect, start, report.

use std::io::{self, BufWriter, Write};
use std::time::Duration;

use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use temporal_manifest::client::connect::{ConnectError, Connection, connect};
use temporal_manifest::expand::Expansion;
use temporal_manifest::expand::identity::IdempotencyKey;
use temporal_manifest::expand::start::Start;
use temporal_manifest::journal::Spool;
use temporal_manifest::report::progress::{Audience, Progress};
use temporal_manifest::report::summary::Summary;
use temporal_manifest::report::text::{self, Table};
use temporal_manifest::report::{json, jsonl};
use temporal_manifest::run::attempt::Context;
use temporal_manifest::run::event::{
    ApplyFinished, ApplyStarted, Event, Input, Invocation, Service, Stopped,
};
use temporal_manifest::run::wait::WaitLimits;
use temporal_manifest::run::{self, Limits, engine};

use crate::cli::args::{ApplyArgs, GlobalArgs, OutputFormat};
use crate::cli::environment::Environment;
use crate::cli::exit::Exit;
use crate::cli::{output, settings};

/// Events that may wait for the audience before the engine has to.
const EVENTS_AHEAD: usize = 1024;

/// Starts that are expanded ahead of the engine.
const STARTS_AHEAD: usize = 64;

/// How long one start is tried.
const RETRY_FOR: Duration = Duration::from_secs(300);

/// Most starts in flight.
const PARALLELISM: usize = 32;

pub(crate) fn run(args: &ApplyArgs, global: &GlobalArgs, environment: &Environment) -> Exit {
    let usage = |error: settings::SettingError| {
        output::fail(
            global.output,
            Exit::Usage,
            "usage",
            &error.to_string(),
            None,
        )
    };
    let invocation_id = Uuid::new_v4().to_string();
    let given = match settings::given_key(args.idempotency_key.as_deref(), environment) {
        Ok(given) => given,
        Err(error) => return usage(error),
    };
    let connection =
        match settings::connection(&args.connection, global, environment, &invocation_id) {
            Ok(connection) => connection,
            Err(error) => return usage(error),
        };
    let key = given.unwrap_or_else(IdempotencyKey::random);
    let mut checked = super::check(&args.paths, Some(&key));
    checked
        .diagnostics
        .retain(|it| it.severity == temporal_manifest::manifest::diagnostic::Severity::Error);
    if output::diagnostics(&mut checked.diagnostics, global, environment) {
        let problems = super::validate::counted(checked.diagnostics.len(), "problem");
        output::say(&format!("{problems}; nothing was sent"));
        if matches!(
            global.output,
            Some(OutputFormat::Json | OutputFormat::Jsonl)
        ) {
            output::data(&super::validate::as_json(&checked, true));
        }
        return Exit::Invalid;
    }
    output::say(&format!("idempotency key: {}", key.as_str()));
    if !key.is_given() && !environment.stderr_is_terminal && checked.preflight.repeatable > 0 {
        output::say(
            "note: applied again, this begins new Workflows; set --idempotency-key, or workflowId and idReusePolicy: RejectDuplicate, to prevent it",
        );
    }
    let started_at = Timestamp::now();
    let context = Context {
        key,
        namespace: connection.namespace.clone(),
        invocation_id,
        started_at,
        fail_existing: args.fail_existing,
        retry_for: args.retry_for.unwrap_or(RETRY_FOR),
    };
    let started = ApplyStarted {
        at: started_at,
        invocation: Invocation {
            id: context.invocation_id.clone(),
            idempotency_key: context.key.as_str().to_owned(),
            command: "apply".to_owned(),
            started_at,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        service: Service {
            address: connection.address.clone(),
            namespace: connection.namespace.clone(),
            server_version: None,
        },
        inputs: checked
            .sources
            .iter()
            .map(|source| Input {
                path: source.name().to_owned(),
                sha256: source.sha256().to_owned(),
            })
            .collect(),
        total: Some(checked.preflight.total),
    };
    let limits = Limits {
        parallelism: args.parallelism.map_or(PARALLELISM, usize::from),
        starts_per_second: args.rate,
        wait: args.wait.then_some(WaitLimits {
            timeout: args.wait_timeout,
        }),
    };
    let apply = Apply {
        connection,
        context,
        started,
        limits,
        timeout: global.command_timeout,
    };
    let audience = match Listeners::new(args, global, environment, &apply) {
        Ok(audience) => audience,
        Err(error) => {
            let message = format!("cannot write a temporary file: {error}");
            return output::fail(global.output, Exit::NotWritten, "spool", &message, None);
        }
    };
    // One thread is faster than several: the work for one start is shorter than a hand-over.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(apply.run(checked.expansion, audience)),
        Err(error) => {
            let message = format!("cannot start the runtime: {error}");
            output::fail(global.output, Exit::Internal, "runtime", &message, None)
        }
    }
}

/// Everything that was resolved before the network is used.
struct Apply {
    connection: Connection,
    context: Context,
    started: ApplyStarted,
    limits: Limits,
    timeout: Option<Duration>,
}

impl Apply {
    async fn run(self, expansion: Expansion, audience: Listeners) -> Exit {
        let stop = CancellationToken::new();
        let (events, receiver) = mpsc::channel(EVENTS_AHEAD);
        let listening = audience.listen(receiver, stop.clone());
        let (heard, ()) = futures::join!(listening, self.make(expansion, stop, events));
        heard.finish()
    }

    /// Makes the starts. Sends every event, the first and the last one included.
    async fn make(
        mut self,
        expansion: Expansion,
        stop: CancellationToken,
        events: mpsc::Sender<Event>,
    ) {
        let interrupts = tokio::spawn(watch_interrupts(stop.clone(), self.timeout));
        let (starts, feeder) = feed(expansion);
        let connected = tokio::select! {
            connected = connect(self.connection.clone()) => connected.map(Some),
            () = stop.cancelled() => Ok(None),
        };
        if let Ok(Some(client)) = &connected {
            self.started.service.server_version = Some(client.server_version().to_owned());
        }
        send(&events, Event::ApplyStarted(self.started)).await;
        let mut stopped = match connected {
            Ok(Some(client)) => {
                run::run(
                    &client,
                    starts,
                    &self.context,
                    self.limits,
                    &stop,
                    events.clone(),
                )
                .await
            }
            Ok(None) => {
                engine::skip(starts, &self.context, &events).await;
                None
            }
            Err(error) => {
                engine::skip(starts, &self.context, &events).await;
                Some(Stopped::NoConnection {
                    message: with_help(&error),
                })
            }
        };
        if let Some(message) = feeder
            .join()
            .expect("the thread that expands starts does not panic")
        {
            stopped.get_or_insert(Stopped::Input { message });
        }
        if stop.is_cancelled() {
            // The watcher ends with what stopped us; a closed standard output stops without it.
            let by = if interrupts.is_finished() {
                interrupts.await.ok()
            } else {
                None
            };
            stopped = Some(by.unwrap_or(Stopped::Interrupt { signal: 2 }));
        }
        send(
            &events,
            Event::ApplyFinished(ApplyFinished {
                at: Timestamp::now(),
                stopped,
            }),
        )
        .await;
    }
}

fn with_help(error: &ConnectError) -> String {
    match error.help() {
        Some(help) => format!("{error}\n  help: {help}"),
        None => error.to_string(),
    }
}

/// A listener that is gone has stopped the apply by itself.
async fn send(events: &mpsc::Sender<Event>, event: Event) {
    let _ = events.send(event).await;
}

/// Expands starts on a thread of their own, a few ahead. The thread returns what went wrong.
fn feed(
    expansion: Expansion,
) -> (
    mpsc::Receiver<Start>,
    std::thread::JoinHandle<Option<String>>,
) {
    let (sender, receiver) = mpsc::channel(STARTS_AHEAD);
    let feeder = std::thread::spawn(move || {
        for start in expansion.starts() {
            match start {
                Ok(start) => {
                    if sender.blocking_send(start).is_err() {
                        return None;
                    }
                }
                Err(diagnostics) => {
                    let first = diagnostics
                        .first()
                        .map(|diagnostic| diagnostic.message.clone());
                    return Some(first.unwrap_or_default());
                }
            }
        }
        None
    });
    (receiver, feeder)
}

/// Stops the apply at the first signal and when the command timeout passes, and leaves the
/// program at the second signal. Returns what stopped it.
async fn watch_interrupts(stop: CancellationToken, timeout: Option<Duration>) -> Stopped {
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return std::future::pending().await;
    };
    let next = async |interrupt: &mut tokio::signal::unix::Signal,
                      terminate: &mut tokio::signal::unix::Signal| {
        tokio::select! {
            _ = interrupt.recv() => 2,
            _ = terminate.recv() => 15,
        }
    };
    let timeout = async {
        match timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    let stopped = tokio::select! {
        signal = next(&mut interrupt, &mut terminate) => Stopped::Interrupt { signal },
        () = timeout => Stopped::Timeout,
    };
    stop.cancel();
    tokio::spawn(async move {
        let signal = next(&mut interrupt, &mut terminate).await;
        std::process::exit(128 + signal);
    });
    stopped
}

/// Everyone who hears the events, in the order they hear them.
struct Listeners {
    format: OutputFormat,
    spool: Option<Spool>,
    summary: Summary,
    started: Option<ApplyStarted>,
    finished_at: Timestamp,
    lines: Option<BufWriter<io::Stdout>>,
    table: Option<Table>,
    progress: Progress,
    hide_results: bool,
    color: bool,
    began: Instant,
    last_start: Instant,
    failure: Option<io::Error>,
    stop: Option<CancellationToken>,
}

impl Listeners {
    fn new(
        args: &ApplyArgs,
        global: &GlobalArgs,
        environment: &Environment,
        apply: &Apply,
    ) -> io::Result<Self> {
        let format = global.output.unwrap_or(OutputFormat::Text);
        let total = apply.started.total;
        let audience = if environment.stderr_is_terminal {
            Audience::Terminal
        } else {
            Audience::Lines(Box::new(output::say))
        };
        let now = Instant::now();
        Ok(Listeners {
            format,
            spool: (format == OutputFormat::Json)
                .then(Spool::new)
                .transpose()?,
            summary: Summary::default(),
            started: None,
            finished_at: apply.context.started_at,
            lines: (format == OutputFormat::Jsonl).then(|| BufWriter::new(io::stdout())),
            table: matches!(format, OutputFormat::Text | OutputFormat::Github)
                .then(|| Table::new(total)),
            progress: Progress::new(total, args.wait, audience),
            hide_results: args.hide_results,
            color: settings::color(global.color, environment, environment.stdout_is_terminal),
            began: now,
            last_start: now,
            failure: None,
            stop: None,
        })
    }

    /// Hears everything until the last event.
    async fn listen(mut self, mut events: mpsc::Receiver<Event>, stop: CancellationToken) -> Self {
        self.stop = Some(stop);
        let mut batch = Vec::new();
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                count = events.recv_many(&mut batch, 256) => {
                    if count == 0 {
                        break;
                    }
                    for event in batch.drain(..) {
                        self.hear(event);
                    }
                    self.flush();
                }
                _ = tick.tick() => {}
            }
            self.progress.show(&self.summary);
        }
        self
    }

    fn hear(&mut self, mut event: Event) {
        if self.hide_results
            && let Event::WorkflowEnded(ended) = &mut event
        {
            ended.workflow.result = None;
        }
        match &event {
            Event::ApplyStarted(started) => self.started = Some(started.clone()),
            Event::StartFinished(_) => self.last_start = Instant::now(),
            Event::ApplyFinished(finished) => self.finished_at = finished.at,
            _ => {}
        }
        if let Some(spool) = &mut self.spool {
            let written = spool.write(&event);
            self.check(written);
        }
        self.summary.count(&event);
        if let Some(lines) = &mut self.lines {
            let written = jsonl::write(lines, &event);
            self.check(written);
        }
        if let Some(table) = &mut self.table {
            table.take(&event);
        }
    }

    fn flush(&mut self) {
        if let Some(lines) = &mut self.lines {
            let written = lines.flush();
            self.check(written);
        }
    }

    /// A listener that programs depend on has failed: no further starts are made.
    fn check(&mut self, written: io::Result<()>) {
        if let Err(error) = written
            && self.failure.is_none()
        {
            self.failure = Some(error);
            self.lines = None;
            if let Some(stop) = &self.stop {
                stop.cancel();
            }
        }
    }

    /// Shows the result.
    fn finish(mut self) -> Exit {
        self.progress.finish();
        let starting = self.last_start.duration_since(self.began).as_secs_f64();
        let tried = self.summary.total - self.summary.skipped;
        if starting > 0.0 {
            self.summary.starts_per_second = (tried as f64 / starting * 10.0).round() / 10.0;
        }
        let exit = Exit::of(&self.summary);
        let text_shown = self.table.is_some();
        if !text_shown && let Some(stopped) = &self.summary.stopped {
            output::say(&format!("error: {}", text::reason(stopped)));
        }
        match self.failure.take() {
            Some(error) if error.kind() == io::ErrorKind::BrokenPipe => return exit,
            Some(error) => {
                output::say(&format!("error: cannot write the output: {error}"));
                return Exit::NotWritten;
            }
            None => {}
        }
        let written = match self.format {
            OutputFormat::Json => self.write_report(),
            OutputFormat::Text | OutputFormat::Github => {
                let table = self.table.take();
                let took = self
                    .finished_at
                    .duration_since(self.started_at())
                    .unsigned_abs();
                let text = table.map(|table| table.render(&self.summary, took, self.color));
                let mut out = io::stdout().lock();
                out.write_all(text.unwrap_or_default().as_bytes())
                    .and_then(|()| out.flush())
            }
            OutputFormat::Jsonl | OutputFormat::None => Ok(()),
        };
        output::written(written, exit)
    }

    fn started_at(&self) -> Timestamp {
        self.started
            .as_ref()
            .map_or(self.finished_at, |started| started.at)
    }

    fn write_report(&mut self) -> io::Result<()> {
        let (Some(spool), Some(started)) = (self.spool.take(), self.started.take()) else {
            return Ok(());
        };
        let head = json::Head::new(started, self.summary.clone(), self.finished_at);
        json::write(BufWriter::new(io::stdout().lock()), &head, spool.replay()?)
    }
}
