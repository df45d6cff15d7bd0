//! `apply`: validate, connect, start, report.

mod doubts;
mod feed;
mod listeners;
mod past;
mod threads;

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use temporal_manifest::client::Client;
use temporal_manifest::client::connect::{
    ConnectError, Prepared, connect, prepare as prepare_connection,
};
use temporal_manifest::expand::identity::IdempotencyKey;
use temporal_manifest::journal::record::{Header, Settings, VERSION};
use temporal_manifest::journal::resume::resume;
use temporal_manifest::journal::{Journal, MAX_STARTS};
use temporal_manifest::manifest::diagnostic::Severity;
use temporal_manifest::report::text::Table;
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
use crate::cli::signals::Signals;
use crate::cli::{command_line, output, report_files, settings};
use doubts::Doubt;
use feed::{Fed, Feed};
use listeners::Listeners;
use past::Past;

/// Events that may wait for the listeners before the engine has to.
const EVENTS_AHEAD: usize = 1024;

/// How long one start is tried.
const RETRY_FOR: Duration = Duration::from_secs(300);

/// Most starts in flight.
const PARALLELISM: usize = 32;

pub(crate) fn run(
    args: &ApplyArgs,
    global: &GlobalArgs,
    environment: &Environment,
    signals: &Signals,
) -> Exit {
    let runtime = threads::runtime().map_err(|error| threads::none_left(global.output, &error));
    let ended = runtime.and_then(|runtime| {
        let apply = prepare(args, global, environment)?;
        runtime.block_on(apply.run(signals, global.output))
    });
    ended.unwrap_or_else(|exit| {
        report_files::replace(args, global);
        exit
    })
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
    let not_over_inputs = || {
        report_files::check(args, global)
            .map_err(|refused| usage(&refused.to_string(), Some(refused.help())))
    };
    not_over_inputs()?;
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
            Some(resume(path).map_err(|error| super::report::cannot_read(global.output, &error))?)
        }
        None => None,
    };
    if let Some(path) = &args.journal {
        Journal::check(path).map_err(|error| super::report::cannot_read(global.output, &error))?;
    }
    let theirs = unfinished.as_ref().map(|it| &it.header);
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
    let selection = settings::selection(&past::selection(&args.selection, theirs), environment)
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
        output::refusal(global.output, &checked.to_document(false));
        return Err(checked.refusal());
    }
    // Now it is known what else is read.
    not_over_inputs()?;
    for target in &args.report {
        target.check().map_err(|error| {
            let message = format!("cannot write the report `{}`: {error}", target.name());
            output::fail(global.output, Exit::NotWritten, "report", &message, None)
        })?;
    }
    let total = checked.preflight.total;
    let selected = (!selection.is_all()).then(|| Selected {
        select: selection.patterns().to_vec(),
        shard: selection.shard().map(|shard| shard.to_string()),
        of: checked.preflight.of,
    });
    checked.check_selection(&selection, key.is_given(), global)?;
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
    let without_journal = command_line::without_journal(std::env::args_os(), key.as_str());
    if let Some(theirs) = theirs {
        past::fits(theirs, &digest, selected.as_ref(), connection).map_err(|message| {
            let help =
                format!("to start what is new and leave out what was started: `{without_journal}`");
            usage(&message, Some(&help))
        })?;
    }
    let given = Settings {
        fail_existing: args.fail_existing,
        max_failures: args.max_failures.map(|most| most.of(total)),
        wait: args.wait,
        wait_timeout_ms: args.wait_timeout.map(|it| it.as_millis() as u64),
        hide_results: args.hide_results,
    };
    let settings = past::settings(given, theirs).map_err(|unfit| {
        let help = unfit.help(&without_journal);
        usage(&unfit.to_string(), Some(&help))
    })?;
    let started_at = invocation.started_at;
    let context = Context {
        key,
        namespace: connection.namespace.clone(),
        invocation_id: invocation.id,
        fail_existing: settings.fail_existing,
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
        max_failures: settings.max_failures,
        wait: settings.wait.then_some(WaitLimits {
            timeout: settings.wait_timeout_ms.map(Duration::from_millis),
        }),
    };
    let key = context.key.as_str();
    output::say(&format!("idempotency key: {key}"));
    if checked.preflight.of == 0 {
        output::say("note: there is nothing to start, because there are no rows");
    }
    if selection.shard().is_some() && !context.key.is_given() {
        output::say(
            "note: each shard without --idempotency-key has a key of its own, so `report --merge` cannot join their journals",
        );
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
        settings,
        apply: started.clone(),
    };
    let for_people = matches!(
        global.output,
        None | Some(OutputFormat::Text | OutputFormat::Github)
    );
    let mut table = for_people.then(|| Table::new(started.total, limits.wait.is_some()));
    let mut past = Past::read(unfinished, table.as_mut())
        .map_err(|error| super::report::cannot_read(global.output, &error))?;
    let (finished, to_wait_for) = past
        .left_out(header.settings.wait)
        .map_err(|error| super::report::cannot_read(global.output, &error))?;
    let listeners = Listeners::new(
        args,
        global,
        environment,
        started.clone(),
        &header.settings,
        std::mem::take(&mut past.summary),
        table,
    );
    let listeners = listeners.map_err(|error| {
        let message = format!("cannot write a temporary file: {error}");
        output::fail(global.output, Exit::NotWritten, "journal", &message, None)
    })?;
    let listeners = listeners.with_conflicts(checked.preflight.conflicts);
    Ok(Apply {
        beginning: Beginning {
            output: global.output,
            journal: args.journal.clone(),
            header,
            past,
            without_journal,
        },
        feed: Feed {
            expansion: checked.expansion,
            finished,
            to_wait_for,
        },
        connection: prepared,
        making: Making {
            context,
            started,
            limits,
        },
        listeners,
    })
}

/// An apply that is ready to begin.
struct Apply {
    connection: Prepared,
    feed: Feed,
    beginning: Beginning,
    making: Making,
    listeners: Listeners,
}

/// What connecting comes to; `None` if it was stopped.
type Connected = Result<Option<Client>, ConnectError>;

impl Apply {
    /// Runs it. `Err` is how it ends before a start is made.
    async fn run(mut self, signals: &Signals, format: Option<OutputFormat>) -> Result<Exit, Exit> {
        let stop = CancellationToken::new();
        signals.stop_with(stop.clone());
        // What is expanded meanwhile is thrown away if the journal is refused.
        let fed = match self.feed.begin() {
            Ok(fed) => fed,
            Err(error) => return Err(threads::none_left(format, &error)),
        };
        let connected: Connected = tokio::select! {
            connected = connect(self.connection) => connected.map(Some),
            () = stop.cancelled() => Ok(None),
        };
        let connected = connected.map(|client| client.map(|client| self.listeners.fitted(client)));
        let client = connected.as_ref().ok().and_then(Option::as_ref);
        let journal = self.beginning.begin(client).await?;
        if let Some(journal) = journal {
            self.listeners.write_to(journal);
        }
        let (events, receiver) = mpsc::channel(EVENTS_AHEAD);
        let listening = self.listeners.listen(receiver, stop.clone());
        let making = self.making.run(connected, fed, stop, signals, events);
        let (heard, ()) = futures::join!(listening, making);
        Ok(heard.finish())
    }
}

/// What comes between the connection and the first start.
struct Beginning {
    output: Option<OutputFormat>,
    /// The new journal.
    journal: Option<PathBuf>,
    header: Header,
    past: Past,
    /// The command that applies the same without a journal.
    without_journal: String,
}

impl Beginning {
    /// Holds what a journal says against the service, and begins to write. `Err` is how it ends.
    async fn begin(mut self, client: Option<&Client>) -> Result<Option<Journal>, Exit> {
        if let (Some(client), Some((header, sample))) = (client, self.past.claims()) {
            let notes = doubts::check(client, header, sample)
                .await
                .map_err(|doubt| self.refuse(&doubt))?;
            for note in notes {
                output::say(&format!("note: {note}"));
            }
        }
        let id = client.and_then(Client::namespace_id);
        self.header.namespace_id = id.map(str::to_owned);
        self.past
            .begin(self.journal.as_deref(), self.header)
            .map_err(|error| super::report::cannot_read(self.output, &error))
    }

    fn refuse(&self, doubt: &Doubt) -> Exit {
        let command = &self.without_journal;
        let (exit, help) = match doubt {
            Doubt::OtherCluster { .. } => (
                Exit::Usage,
                format!("to start here what is not here: `{command}`"),
            ),
            Doubt::Forgotten { .. } => (
                Exit::Usage,
                format!(
                    "to start everything that the service does not know: `{command}`; after retention that begins finished Workflows again"
                ),
            ),
            Doubt::Unanswered(_) => (
                Exit::NoConnection,
                "nothing was sent; run the same command again".to_owned(),
            ),
        };
        output::fail(
            self.output,
            exit,
            "journal",
            &doubt.to_string(),
            Some(&help),
        )
    }
}

/// The side of an apply that makes the starts.
struct Making {
    context: Context,
    started: ApplyStarted,
    limits: Limits,
}

impl Making {
    /// Makes the starts. Sends every event, the first and the last one included.
    async fn run(
        mut self,
        connected: Connected,
        fed: Fed,
        stop: CancellationToken,
        signals: &Signals,
        events: mpsc::Sender<Event>,
    ) {
        let (work, feeder) = fed;
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
            // A closed standard output stops without a signal.
            let by = signals.stopped();
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
