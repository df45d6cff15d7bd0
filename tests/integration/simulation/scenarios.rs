//! What is explored, and what may be found.
//!
//! The window of a harm is how many changes by others lie between a client's last look at what has
//! the Workflow ID and the request that does it. Zero harm cannot be had, as the service knows no
//! condition on a start; what can be had is that a whole chain must pass within one round trip:
//! begin, go on as another run, and end.

use std::collections::BTreeMap;

use temporal_manifest::expand::start::{IdConflictPolicy, IdReusePolicy};
use temporal_manifest::run::protocol::{Protocol, Rules};

use super::explorer::{Found, Kind, explore};
use super::model::Run;
use super::old_protocol::{AsAsked, Machine, Tagged};
use super::scenario::{Beginning, Budget, Invocation, Scenario, Service, Wrong};
use super::world::calls_alone;
use crate::support::full_length_is_wanted;

/// What a manifest can say: closed, running, and whether something is attached.
const RULES: [Rules; 8] = {
    use IdConflictPolicy::{Fail, TerminateExisting, UseExisting};
    use IdReusePolicy::{AllowDuplicate, AllowDuplicateFailedOnly, RejectDuplicate};
    [
        rules(AllowDuplicate, Fail, false),
        rules(AllowDuplicateFailedOnly, Fail, false),
        rules(RejectDuplicate, Fail, false),
        rules(AllowDuplicate, TerminateExisting, false),
        rules(AllowDuplicateFailedOnly, TerminateExisting, false),
        rules(AllowDuplicate, UseExisting, true),
        rules(AllowDuplicateFailedOnly, UseExisting, true),
        rules(RejectDuplicate, UseExisting, true),
    ]
};

const fn rules(closed: IdReusePolicy, running: IdConflictPolicy, attaches: bool) -> Rules {
    Rules {
        closed,
        running,
        attaches,
    }
}

const BEGINNINGS: [Beginning; 5] = [
    Beginning::Free,
    Beginning::Running,
    Beginning::RunningOn,
    Beginning::Completed,
    Beginning::Failed,
];

/// An apply with a key that was given.
const GIVEN: Invocation = Invocation {
    key: 0,
    fresh: false,
    repeats: false,
    may_describe: true,
    may_terminate: true,
};

/// One with a key of its own making.
const RANDOM: Invocation = Invocation {
    fresh: true,
    ..GIVEN
};

/// The next one under the same key, after the one before was killed or has ended.
const REPEAT: Invocation = Invocation {
    repeats: true,
    ..GIVEN
};

/// One with another key that was given.
const OTHER_KEY: Invocation = Invocation { key: 1, ..GIVEN };

/// One that may not read runs.
const BLIND: Invocation = Invocation {
    may_describe: false,
    ..GIVEN
};

/// One that may not terminate them.
const HARMLESS: Invocation = Invocation {
    may_terminate: false,
    ..GIVEN
};

/// No faults; a chain goes on once, and two chains end.
const CALM: Budget = Budget {
    attempts: 2,
    late: 0,
    doubled: 0,
    refused: 0,
    throttled: 0,
    goes_on: 1,
    ends: 2,
    others: 0,
    deletions: 0,
    resets: 0,
};

/// One call gets no answer.
const LATE: Budget = Budget { late: 1, ..CALM };

/// The same invocations and events under all policies, over everything.
fn everywhere(invocations: &[Invocation], budget: Budget) -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for rules in RULES {
        for beginning in BEGINNINGS {
            scenarios.push(Scenario {
                beginning,
                rules,
                invocations: invocations.to_vec(),
                budget,
                service: Service::Full,
            });
        }
    }
    scenarios
}

/// More may happen where there is time for it.
fn by_length(quick: Budget, full: Budget) -> Budget {
    if full_length_is_wanted() { full } else { quick }
}

/// Of each kind of harm, the smallest window and the shortest trace.
type Harms = BTreeMap<Kind, (u8, String)>;

/// Explores all scenarios. There must be at least so many states, lest nothing is explored.
#[track_caller]
fn explore_all<M: Machine>(scenarios: &[Scenario], at_least: usize) -> Harms {
    let mut total = 0;
    let mut worst = Harms::new();
    for scenario in scenarios {
        let Found { states, harms } = explore::<M>(scenario);
        total += states;
        for (kind, harm) in harms {
            if worst.get(&kind).is_none_or(|(window, _)| harm.0 < *window) {
                worst.insert(kind, harm);
            }
        }
    }
    assert!(total >= at_least, "only {total} states");
    worst
}

/// Asserts what is promised: no chain of ours is ended, no outcome is false, and a second chain is
/// begun only if a whole one has passed unseen, and has failed or followed one that had completed.
#[track_caller]
fn assert_holds(scenarios: &[Scenario], at_least: usize) {
    assert_no_worse(scenarios, at_least, &[]);
}

/// The same, but that these kinds of harm may be found from a window on.
#[track_caller]
fn assert_no_worse(scenarios: &[Scenario], at_least: usize, known: &[(Kind, u8)]) {
    let promised = [
        ((Wrong::SecondChain, true), 3),
        ((Wrong::SecondChain, false), 4),
    ];
    for (kind, (window, trace)) in explore_all::<Protocol<Run>>(scenarios, at_least) {
        let allowed = |(of, from): &(Kind, u8)| *of == kind && *from <= window;
        assert!(
            promised.iter().chain(known).any(allowed),
            "{kind:?} at window {window}:\n{trace}"
        );
    }
}

/// The smallest windows of the harm of a protocol.
fn windows<M: Machine>(scenarios: &[Scenario]) -> BTreeMap<Kind, u8> {
    let harms = explore_all::<M>(scenarios, 0);
    harms
        .into_iter()
        .map(|(kind, harm)| (kind, harm.0))
        .collect()
}

#[test]
fn the_first_protocol_is_found_to_do_harm() {
    let windows = windows::<AsAsked>(&everywhere(&[GIVEN, GIVEN], CALM));
    let expected = [
        // It goes on, and a later run is no repeat: {their start, its continue-as-new}.
        ((Wrong::SecondChain, false), 3),
        ((Wrong::SecondChain, true), 3),
        ((Wrong::OwnChainEnded, false), 2),
        ((Wrong::FalseOutcome, false), 2),
    ];
    assert_eq!(windows, BTreeMap::from(expected));
}

#[test]
fn the_first_protocol_is_found_to_call_failed_what_has_begun() {
    let budget = Budget {
        refused: 1,
        goes_on: 0,
        ends: 0,
        ..LATE
    };
    let windows = windows::<AsAsked>(&everywhere(&[RANDOM], budget));
    assert_eq!(windows.get(&(Wrong::FalseOutcome, false)), Some(&0));
}

#[test]
fn naming_the_invocation_in_every_request_is_found_to_do_harm() {
    let windows = windows::<Tagged>(&everywhere(&[GIVEN, GIVEN], CALM));
    // {their start, its end}: the service cannot merge two requests that look different.
    assert_eq!(windows.get(&(Wrong::SecondChain, false)), Some(&2));
}

#[test]
fn two_applies_and_a_late_call() {
    let full = Budget {
        late: 2,
        goes_on: 2,
        ..CALM
    };
    assert_holds(&everywhere(&[GIVEN, GIVEN], by_length(LATE, full)), 200_000);
}

#[test]
fn two_applies_and_two_late_calls() {
    let quick = Budget {
        late: 2,
        ends: 1,
        ..CALM
    };
    let full = Budget { late: 2, ..CALM };
    assert_holds(
        &everywhere(&[GIVEN, GIVEN], by_length(quick, full)),
        600_000,
    );
}

#[test]
fn one_apply_and_late_calls() {
    let quick = Budget {
        late: 3,
        attempts: 3,
        goes_on: 2,
        ..CALM
    };
    let full = Budget { others: 1, ..quick };
    assert_holds(&everywhere(&[GIVEN], by_length(quick, full)), 90_000);
}

#[test]
fn two_applies_and_a_call_that_arrives_twice() {
    let quick = Budget { doubled: 1, ..CALM };
    let full = Budget { doubled: 1, ..LATE };
    assert_holds(
        &everywhere(&[GIVEN, GIVEN], by_length(quick, full)),
        100_000,
    );
}

#[test]
fn two_applies_and_throttling() {
    let quick = Budget {
        throttled: 2,
        ..CALM
    };
    let full = Budget {
        throttled: 2,
        ..LATE
    };
    assert_holds(&everywhere(&[GIVEN, GIVEN], by_length(quick, full)), 90_000);
}

#[test]
fn two_applies_and_a_refusal() {
    let quick = Budget {
        refused: 1,
        ends: 1,
        ..LATE
    };
    let full = Budget { refused: 1, ..LATE };
    let mut scenarios = everywhere(&[GIVEN, GIVEN], by_length(quick, full));
    // What follows where terminating is refused has a test of its own.
    scenarios.retain(|scenario| scenario.rules.running != IdConflictPolicy::TerminateExisting);
    assert_holds(&scenarios, 100_000);
}

#[test]
fn a_killed_apply_and_its_repeat() {
    let full = Budget {
        late: 2,
        goes_on: 2,
        ..CALM
    };
    assert_holds(&everywhere(&[GIVEN, REPEAT], by_length(LATE, full)), 90_000);
}

#[test]
fn an_apply_that_is_killed_and_repeated_again_and_again() {
    let invocations = [GIVEN, REPEAT, REPEAT];
    assert_holds(&everywhere(&invocations, by_length(CALM, LATE)), 60_000);
}

#[test]
fn an_apply_and_a_repeat_while_it_still_runs() {
    // Under a key that it made itself: whoever reads it may repeat it at any time.
    assert_holds(&everywhere(&[RANDOM, GIVEN], LATE), 200_000);
}

#[test]
fn two_keys() {
    let full = Budget {
        late: 2,
        ends: 1,
        ..CALM
    };
    assert_holds(
        &everywhere(&[GIVEN, OTHER_KEY], by_length(LATE, full)),
        400_000,
    );
}

#[test]
fn two_applies_of_one_key_and_one_of_another() {
    let quick = Budget { ends: 1, ..CALM };
    let invocations = [GIVEN, GIVEN, OTHER_KEY];
    assert_holds(&everywhere(&invocations, by_length(quick, CALM)), 400_000);
}

#[test]
fn three_applies() {
    let full = Budget { goes_on: 2, ..CALM };
    assert_holds(&everywhere(&[GIVEN; 3], by_length(CALM, full)), 300_000);
}

#[test]
fn another_client() {
    let quick = Budget {
        others: 1,
        ends: 1,
        ..CALM
    };
    let full = Budget { others: 1, ..CALM };
    assert_holds(
        &everywhere(&[GIVEN, GIVEN], by_length(quick, full)),
        200_000,
    );
}

#[test]
fn resets() {
    let quick = Budget {
        resets: 1,
        ends: 1,
        ..CALM
    };
    let full = Budget { resets: 1, ..CALM };
    assert_holds(
        &everywhere(&[GIVEN, GIVEN], by_length(quick, full)),
        250_000,
    );
}

#[test]
fn deletions() {
    let quick = Budget {
        deletions: 1,
        ..CALM
    };
    let full = Budget {
        deletions: 1,
        ..LATE
    };
    let scenarios = everywhere(&[GIVEN, GIVEN], by_length(quick, full));
    // Should somebody else's closed run be deleted after the look at it, then a chain that begins
    // on the free Workflow ID and fails need not have gone on.
    assert_no_worse(&scenarios, 80_000, &[((Wrong::SecondChain, false), 3)]);
}

#[test]
fn long_chains() {
    let quick = Budget { goes_on: 3, ..CALM };
    let full = Budget { goes_on: 3, ..LATE };
    assert_holds(&everywhere(&[GIVEN, GIVEN], by_length(quick, full)), 60_000);
}

#[test]
fn a_service_that_says_less() {
    for service in [Service::WithoutFirst, Service::WithoutClosed] {
        let mut scenarios = everywhere(&[GIVEN, GIVEN], by_length(CALM, LATE));
        for scenario in &mut scenarios {
            scenario.service = service;
        }
        assert_holds(&scenarios, 40_000);
    }
}

#[test]
fn applies_that_may_not_read_runs() {
    assert_holds(&everywhere(&[BLIND, GIVEN], LATE), 100_000);
    let mut scenarios = everywhere(&[BLIND, BLIND], LATE);
    for scenario in &mut scenarios {
        scenario.service = Service::WithoutClosed;
    }
    assert_holds(&scenarios, 3_000);
}

#[test]
fn applies_that_may_not_terminate_runs() {
    // Nothing but the manifest's own policy can then replace a run, whichever has the Workflow ID.
    let known = [
        ((Wrong::OwnChainEnded, false), 2),
        ((Wrong::SecondChain, false), 3),
    ];
    for invocations in [[HARMLESS, GIVEN], [HARMLESS, HARMLESS]] {
        assert_no_worse(&everywhere(&invocations, LATE), 100_000, &known);
    }
}

#[test]
fn a_start_costs_as_many_calls_as_documented() {
    use IdConflictPolicy::{Fail, TerminateExisting, UseExisting};
    use IdReusePolicy::{AllowDuplicate, AllowDuplicateFailedOnly, RejectDuplicate};
    // Calls over nothing, a running run, a running chain, a completed run, a failed run.
    let table = [
        (rules(AllowDuplicate, Fail, false), [1, 1, 2, 3, 2]),
        (
            rules(AllowDuplicateFailedOnly, Fail, false),
            [1, 1, 2, 2, 2],
        ),
        (rules(RejectDuplicate, Fail, false), [1, 1, 2, 1, 1]),
        (
            rules(AllowDuplicate, TerminateExisting, false),
            [1, 3, 4, 3, 2],
        ),
        (rules(AllowDuplicate, UseExisting, false), [1, 1, 2, 3, 2]),
        (rules(AllowDuplicate, UseExisting, true), [1, 2, 3, 3, 2]),
    ];
    for (rules, calls) in table {
        for (beginning, calls) in BEGINNINGS.into_iter().zip(calls) {
            let scenario = Scenario {
                beginning,
                rules,
                invocations: vec![GIVEN, REPEAT],
                budget: CALM,
                service: Service::Full,
            };
            let counted = calls_alone(&scenario);
            assert_eq!(counted[0], calls, "{scenario:?}");
            // A repeat finds the run, or does again what it takes to leave another one alone.
            assert!(
                counted[1] == 1 || counted[1] == calls,
                "{scenario:?}: {counted:?}"
            );
            if beginning == Beginning::Free {
                assert_eq!(counted[1], 1, "{scenario:?}");
            }
        }
    }
}
