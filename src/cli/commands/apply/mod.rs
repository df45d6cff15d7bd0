//! `apply`: validate, connect, start, report.

mod feed;
mod interrupts;
mod listeners;
mod past;

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use temporal_manifest::client::connect::{Prepared, connect, prepare as prepare_connection};
use temporal_manifest::expand::identity::IdempotencyKey;
use temporal_manifest::journal::MAX_STARTS;
use temporal_manifest::journal::record::{Header, Settings, VERSION};
use temporal_manifest::journal::resume::resume;
use temporal_manifest::manifest::diagnostic::Severity;
use temporal_manifest::report::files;
use temporal_manifest::run::attempt::Context;
use temporal_manifest::run::event::{
    ApplyFinished, ApplyStarted, Event, Input, Invocation, Selected, Service, Stopped,
};
use temporal_manifest::run::wait::WaitLimits;
use temporal_manifest::run::{self, Limits, engine};

use super::Wanted;
use crate::cli::args::{ApplyArgs, GlobalArgs, OutputFormat};
use crate::cli::environment::Environment;
use crate::cli::exit::Exit;
use crate::cli::{output, settings};
use feed::Feed;
use listeners::Listeners;
use past::{Past, fits};

/// Events that may wait for the listeners before the engine has to.
const EVENTS_AHEAD: usize = 1024;

/// How long one start is tried.
const RETRY_FOR: Duration = Duration::from_secs(300);

/// Most starts in flight.
const PARALLELISM: usize = 32;

pub(crate) fn run(args: &ApplyArgs, global: &GlobalArgs, environment: &Environment) -> Exit {
    // One thread is faster than several: the work for one start is shorter than a hand-over.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            output::say(&format!("error: cannot start the runtime: {error}"));
            return Exit::Internal;
        }
    };
    {
        let _context = runtime.enter();
        interrupts::survive_size_limits();
    }
    prepare(args, global, environment)
        .map_or_else(|exit| exit, |apply| runtime.block_on(apply.run()))
}

/// Everything before the network is used: settings, manifests, journal. `Err` is how it ends.
fn prepare(
    args: &ApplyArgs,
    global: &GlobalArgs,
    environment: &Environment,
) -> Result<Apply, Exit> {
    let usage = |message: &str, help: Option<&str>| {
        output::fail(global.output, Exit::Usage, "usage", message, help)
    };
    let invocation = settings::invocation();
    let given = settings::given_key(args.idempotency_key.as_deref(), environment)
        .map_err(|error| usage(&error.to_string(), None))?;
    let connection = settings::connection(&args.connection, global, environment, &invocation.id)
        .map_err(|error| usage(&error.to_string(), None))?;
    let prepared =
        prepare_connection(connection).map_err(|error| usage(&error.to_string(), None))?;
    let connection = prepared.connection();
    let unfinished = match &args.resume {
        Some(path) => {
            Some(resume(path).map_err(|error| super::report::cannot_read(global, &error))?)
        }
        None => None,
    };
    let key = match (&unfinished, given) {
        (None, given) => given.unwrap_or_else(IdempotencyKey::random),
        (Some(unfinished), given) => {
            let own = &unfinished.header.apply.invocation.idempotency_key;
            if given.is_some_and(|given| given.as_str() != own) {
                let message = format!("the journal has another idempotency key, `{own}`");
                return Err(usage(
                    &message,
                    Some("leave --idempotency-key out beside --resume"),
                ));
            }
            IdempotencyKey::given(own)
        }
    };
    let selection = settings::selection(&args.selection, environment)
        .map_err(|error| usage(&error.to_string(), None))?;
    let wanted = Wanted {
        key: Some(key.clone()),
        digest: args.journal.is_some() || unfinished.is_some(),
        selection: selection.clone(),
        invocation: invocation.clone(),
    };
    let mut checked = super::check(&args.paths, wanted, global, environment)?;
    checked
        .diagnostics
        .retain(|it| it.severity == Severity::Error);
    if checked.show(global, environment) {
        let problems = super::validate::counted(checked.problems(), "problem");
        output::say(&format!("{problems}; nothing was sent"));
        if output::wants_data(global.output) {
            output::document(global.output, &checked.to_document(false));
        }
        return Err(Exit::Invalid);
    }
    for path in &args.report {
        files::check(path).map_err(|error| {
            let message = format!("cannot write the report `{}`: {error}", path.display());
            output::fail(global.output, Exit::NotWritten, "report", &message, None)
        })?;
    }
    let total = checked.preflight.total;
    let selected = (!selection.is_all()).then(|| Selected {
        select: selection.patterns().to_vec(),
        shard: selection.shard().map(|shard| shard.to_string()),
        of: checked.preflight.of,
    });
    if total == 0
        && selected
            .as_ref()
            .is_some_and(|it| it.shard.is_none() && it.of > 0)
    {
        let of = super::validate::counted(checked.preflight.of, "start");
        let message = format!("--select matches none of {of}");
        let help = "it is held against names and Workflow IDs; `render -o jsonl` shows them";
        return Err(usage(&message, Some(help)));
    }
    if selection.shard().is_some() && checked.preflight.generated > 0 && !key.is_given() {
        let help = "give the same --idempotency-key to all shards, or every start a workflowId";
        return Err(usage(
            "without a key, each shard would generate Workflow IDs of its own",
            Some(help),
        ));
    }
    let keeps_outcomes = args.journal.is_some()
        || unfinished.is_some()
        || !args.report.is_empty()
        || global.output == Some(OutputFormat::Json);
    if keeps_outcomes && checked.preflight.of > MAX_STARTS {
        let message = format!(
            "there are {} starts, and a journal or report is about {MAX_STARTS} at most",
            checked.preflight.of
        );
        return Err(usage(&message, Some("split the manifests")));
    }
    let digest = checked.preflight.digest.take().unwrap_or_default();
    if let Some(unfinished) = &unfinished {
        fits(unfinished, &digest, selected.as_ref(), connection).map_err(|message| {
            let help = format!(
                "to start what is new and leave out what was started, apply without --resume and with `--idempotency-key {}`",
                key.as_str()
            );
            usage(&message, Some(&help))
        })?;
    }
    let started_at = invocation.started_at;
    let context = Context {
        key,
        namespace: connection.namespace.clone(),
        invocation_id: invocation.id,
        fail_existing: args.fail_existing,
        retry_for: args.retry_for.unwrap_or(RETRY_FOR),
    };
    let inputs = checked.sources.iter().map(|source| Input {
        path: source.name().to_owned(),
        sha256: source.sha256().to_owned(),
    });
    let rows = std::mem::take(&mut checked.preflight.inputs).into_iter();
    let inputs = inputs.chain(rows.map(|(path, sha256)| Input { path, sha256 }));
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
        inputs: inputs.collect(),
        total: Some(total),
        selection: selected,
    };
    let limits = Limits {
        parallelism: args.parallelism.map_or(PARALLELISM, usize::from),
        starts_per_second: args.rate,
        max_failures: args.max_failures.map(|most| most.of(total)),
        wait: args.wait.then_some(WaitLimits {
            timeout: args.wait_timeout,
        }),
    };
    let key = context.key.as_str();
    output::say(&format!("idempotency key: {key}"));
    if checked.preflight.of == 0 {
        output::say("note: there is nothing to start, because there are no rows");
    }
    let repeats = !context.key.is_given() && checked.preflight.repeatable > 0;
    if repeats && !environment.stderr_is_terminal {
        output::say(
            "note: applied again, this begins new Workflows; set --idempotency-key, or workflowId and idReusePolicy: RejectDuplicate, to prevent it",
        );
    }
    let header = Header {
        version: VERSION,
        digest,
        namespace_id: None,
        settings: Settings {
            fail_existing: args.fail_existing,
            max_failures: limits.max_failures,
            wait: args.wait,
            wait_timeout_ms: args.wait_timeout.map(|it| it.as_millis() as u64),
            hide_results: args.hide_results,
        },
        apply: started.clone(),
    };
    let past = Past::open(args, unfinished, header, &context.invocation_id)
        .map_err(|error| super::report::cannot_read(global, &error))?;
    let Past {
        journal,
        earlier,
        finished,
        to_wait_for,
    } = past;
    let listeners = Listeners::new(args, global, environment, started.clone(), journal, earlier);
    let listeners = listeners.map_err(|error| {
        let message = format!("cannot write a temporary file: {error}");
        output::fail(global.output, Exit::NotWritten, "journal", &message, None)
    })?;
    Ok(Apply {
        making: Making {
            connection: prepared,
            context,
            started,
            limits,
            timeout: global.command_timeout,
        },
        feed: Feed {
            expansion: checked.expansion,
            finished,
            to_wait_for,
        },
        listeners,
    })
}

/// An apply that is ready to begin.
struct Apply {
    making: Making,
    feed: Feed,
    listeners: Listeners,
}

impl Apply {
    async fn run(self) -> Exit {
        let stop = CancellationToken::new();
        let (events, receiver) = mpsc::channel(EVENTS_AHEAD);
        let listening = self.listeners.listen(receiver, stop.clone());
        let making = self.making.run(self.feed, stop, events);
        let (heard, ()) = futures::join!(listening, making);
        heard.finish()
    }
}

/// The side of an apply that makes the starts.
struct Making {
    connection: Prepared,
    context: Context,
    started: ApplyStarted,
    limits: Limits,
    timeout: Option<Duration>,
}

impl Making {
    /// Makes the starts. Sends every event, the first and the last one included.
    async fn run(mut self, feed: Feed, stop: CancellationToken, events: mpsc::Sender<Event>) {
        let interrupts = tokio::spawn(interrupts::watch(stop.clone(), self.timeout));
        let (work, feeder) = feed.begin();
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
                    work,
                    &self.context,
                    self.limits,
                    &stop,
                    events.clone(),
                )
                .await
            }
            Ok(None) => {
                engine::skip(work, &self.context, &events).await;
                None
            }
            Err(error) => {
                engine::skip(work, &self.context, &events).await;
                Some(Stopped::NoConnection {
                    message: error.to_string(),
                    help: error.help(),
                })
            }
        };
        if let Some(message) = feeder
            .join()
            .expect("the thread that feeds starts does not panic")
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
        let finished = ApplyFinished {
            at: Timestamp::now(),
            stopped,
        };
        send(&events, Event::ApplyFinished(finished)).await;
    }
}

/// A listener that is gone has stopped the apply by itself.
async fn send(events: &mpsc::Sender<Event>, event: Event) {
    let _ = events.send(event).await;
}
