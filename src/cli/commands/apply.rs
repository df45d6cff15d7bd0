//! `apply`: validate, connect, start, report.

use temporal_manifest::apply::connected::{Connected, NotConnected};
use temporal_manifest::apply::note::Note;
use temporal_manifest::apply::refusal::Refusal;
use temporal_manifest::apply::session::{self, Session};
use temporal_manifest::apply::stop::Stop;
use temporal_manifest::client::Client;
use temporal_manifest::client::connect::{Prepared, connect};
use temporal_manifest::report::log::Log;
use temporal_manifest::report::reporters::Reporters;

use crate::cli::args::{ApplyArgs, GlobalArgs};
use crate::cli::environment::Environment;
use crate::cli::exit::Exit;
use crate::cli::signals::Signals;
use crate::cli::{failure, report_files, reporters, settings, threads};

pub(crate) fn run(
    args: &ApplyArgs,
    global: &GlobalArgs,
    environment: &Environment,
    signals: &Signals,
) -> Result<Exit, Refusal> {
    let runtime = threads::runtime().map_err(|error| Refusal::no_thread(&error))?;
    report_files::check(args, global, &environment.files_read)?;
    let (settings, connection) = settings::apply(args, global, environment)?;
    let session = session::prepare(settings)?;
    // Now it is known what else is read.
    report_files::check(args, global, &environment.files_read)?;
    report_files::can_be_written(args)?;
    tell(&session, environment);
    let reporters = listeners(args, global, environment, &session);
    let stop = Stop::default();
    signals.stop_with(stop.clone());
    let connecting = service(connection, session.hides_results());
    let applying = session.run(connecting, reporters, &stop, failure::note);
    let applied = runtime.block_on(applying)?;
    Ok(reporters::ended(&applied.told, &applied.notes))
}

/// Tells what deserves to be known before it begins.
fn tell(session: &Session, environment: &Environment) {
    // Whoever watches sees what happens, and may never repeat it.
    let is_watched = environment.stderr_is_terminal;
    let notes = session.notes().iter();
    let told = notes.filter(|note| !(is_watched && **note == Note::BeginsNewOnes));
    told.for_each(failure::note);
}

/// Everyone who is told what happens.
fn listeners(
    args: &ApplyArgs,
    global: &GlobalArgs,
    environment: &Environment,
    session: &Session,
) -> Reporters {
    let (total, waits) = (session.total(), session.waits());
    let reporters = Reporters::default()
        .with_display(Log)
        .with_display(reporters::progress(environment, total, waits))
        .with_output(reporters::output(global, environment, total, waits));
    let files = args.report.iter().map(reporters::file);
    files.fold(reporters, Reporters::with_report)
}

/// The service, once it has answered. What no reporter shows is not decoded.
async fn service(
    connection: Prepared,
    hides_results: bool,
) -> Result<Connected<Client>, NotConnected> {
    let client = connect(connection).await?;
    let client = if hides_results {
        client.without_results()
    } else {
        client
    };
    Ok(client.into())
}
