//! The law in worlds of many kinds, each with several seeds.

use super::simulation::{Counts, Limits, OverTime, PLAIN, World, simulate};

const SEEDS: std::ops::RangeInclusive<u64> = 1..=3;

/// A service that lets everything through.
const OPEN: Limits = &[|_| 1e7];

/// The worst of all seeds: share of what was to be had, and share of the calls that was refused.
fn worst(world: World, had: impl Fn(&World, &Counts) -> f64) -> (f64, f64) {
    let mut worst = (f64::INFINITY, 0.0f64);
    for seed in SEEDS {
        let world = World { seed, ..world };
        let counts = simulate(&world, true);
        let used = counts.accepted / had(&world, &counts);
        worst = (worst.0.min(used), worst.1.max(counts.refused_share()));
    }
    worst
}

/// Of what the buckets let through, as far as the slots suffice.
fn of_the_buckets(world: World) -> (f64, f64) {
    worst(world, |world, counts| {
        let most = world.slots as f64 / world.latency * world.seconds;
        counts.available.min(most)
    })
}

/// Of what a client gets through that keeps to no pace.
fn of_a_hasty_client(world: World) -> f64 {
    let (used, _) = worst(world, |world, _| simulate(world, false).accepted);
    used
}

#[test]
fn a_steady_limit_is_used_and_little_is_refused() {
    let limits: [Limits; 3] = [&[|_| 50.0], &[|_| 1_000.0], &[|_| 5_000.0]];
    for limits in limits {
        for burst in [0.1, 1.0, 2.0] {
            // One call more or less is a fifth of a bucket of five.
            if burst * limits[0](0.0) < 10.0 {
                continue;
            }
            for latency in [0.001, 0.005] {
                let (used, refused) = of_the_buckets(World {
                    limits,
                    burst,
                    latency,
                    ..PLAIN
                });
                let at = format!("limit {}, burst {burst}, latency {latency}", limits[0](0.0));
                assert!(used > 0.97, "{at}: only {used:.3} used");
                assert!(refused < 0.05, "{at}: {refused:.3} refused");
            }
        }
    }
}

#[test]
fn a_small_bucket_is_used_from_the_first_seconds_on() {
    for latency in [0.001, 0.005] {
        let (used, refused) = of_the_buckets(World {
            burst: 0.1,
            seconds: 3.0,
            latency,
            ..PLAIN
        });
        assert!(used > 0.93, "latency {latency}: only {used:.3} used");
        assert!(refused < 0.05, "latency {latency}: {refused:.3} refused");
    }
}

#[test]
fn a_limit_that_changes_is_followed() {
    let limits: [Limits; 5] = [
        &[|now| if now % 20.0 < 10.0 { 1_000.0 } else { 300.0 }],
        &[|now| if now % 20.0 < 10.0 { 50.0 } else { 200.0 }],
        &[|now| if now < 10.0 { 100.0 } else { 2_000.0 }],
        &[|now| if now < 10.0 { 2_000.0 } else { 50.0 }],
        &[|now| if now < 10.0 { 1_000.0 } else { 10.0 }],
    ];
    for (number, limits) in limits.into_iter().enumerate() {
        let (used, refused) = of_the_buckets(World { limits, ..PLAIN });
        assert!(used > 0.83, "limit {number}: only {used:.3} used");
        assert!(refused < 0.05, "limit {number}: {refused:.3} refused");
    }
}

#[test]
fn a_limit_that_comes_back_after_long_is_heard_at_once() {
    let (_, refused) = of_the_buckets(World {
        limits: &[|now| {
            if (2.0..60.0).contains(&now) {
                1e6
            } else {
                300.0
            }
        }],
        latency: 0.05,
        seconds: 65.0,
        ..PLAIN
    });
    assert!(refused < 0.01, "{refused:.3} refused");
}

#[test]
fn a_rival_is_given_its_half() {
    let late = World {
        rival: |now| if now > 10.0 { 500.0 } else { 0.0 },
        ..PLAIN
    };
    let always = World {
        rival: |_| 500.0,
        ..PLAIN
    };
    let slow_and_passing = World {
        limits: &[|_| 50.0],
        rival: |now| {
            if (10.0..30.0).contains(&now) {
                25.0
            } else {
                0.0
            }
        },
        seconds: 40.0,
        ..PLAIN
    };
    for (number, world) in [late, always, slow_and_passing].into_iter().enumerate() {
        let (used, refused) = of_the_buckets(world);
        assert!(
            (0.85..1.1).contains(&used),
            "rival {number}: {used:.3} used"
        );
        assert!(refused < 0.08, "rival {number}: {refused:.3} refused");
    }
}

/// What is refused at random, whatever the rate.
const AT_RANDOM: [OverTime; 5] = [|_| 0.05, |_| 0.1, |_| 0.3, |_| 0.5, |_| 0.7];

#[test]
fn refusals_that_do_not_hear_the_pace_do_not_lower_it() {
    for deaf in AT_RANDOM {
        let used = of_a_hasty_client(World {
            limits: OPEN,
            deaf,
            latency: 0.005,
            slots: 32,
            seconds: 15.0,
            ..PLAIN
        });
        let share = deaf(0.0);
        assert!(used > 0.85, "{share} refused: only {used:.3} used");
    }
}

#[test]
fn a_limit_is_found_behind_such_refusals() {
    for deaf in [|_| 0.3, |_| 0.5] as [OverTime; 2] {
        let (used, refused) = of_the_buckets(World { deaf, ..PLAIN });
        let share = deaf(0.0);
        assert!(used > 0.75, "{share} refused: only {used:.3} used");
        // A client that keeps to no pace is refused 94 %.
        assert!(refused < 0.7, "{share} refused: {refused:.3} refused");
    }
}

#[test]
fn one_of_three_frontends_that_refuses_does_not_hold_up_the_others() {
    for limits in [
        &[|_| 1_000.0, |_| 1_000.0, |_| 10.0],
        &[|_| 1_000.0, |_| 1_000.0, |_| 0.0],
    ] as [Limits; 2]
    {
        let used = of_a_hasty_client(World { limits, ..PLAIN });
        assert!(used > 0.8, "only {used:.3} used");
    }
}

#[test]
fn a_service_that_closes_now_and_then_is_used_while_it_is_open() {
    let closed: [OverTime; 4] = [
        |now| f64::from(u8::from(now % 1.0 >= 0.5)),
        |now| f64::from(u8::from(now % 1.0 < 0.5)),
        |now| f64::from(u8::from(now % 6.0 >= 3.0)),
        |now| f64::from(u8::from(now < 5.0)),
    ];
    for (number, deaf) in closed.into_iter().enumerate() {
        for limits in [OPEN, PLAIN.limits] {
            let used = of_a_hasty_client(World {
                limits,
                deaf,
                latency: 0.005,
                slots: 32,
                seconds: 15.0,
                ..PLAIN
            });
            assert!(used > 0.8, "service {number}: only {used:.3} used");
        }
    }
}

#[test]
fn a_service_that_refuses_everything_is_asked_now_and_then() {
    let counts = simulate(
        &World {
            limits: OPEN,
            deaf: |_| 1.0,
            seconds: 300.0,
            ..PLAIN
        },
        true,
    );
    assert!(counts.refused < 500.0, "{} calls", counts.refused);
    assert!(counts.refused > 100.0, "{} calls", counts.refused);
}
