//! What values are in a text: the same, however the text is made.

use serde_json::{Value, json};

use crate::rows::{folder, problems, rendered};

const ROW: &str =
    r#"{"s": "Ab", "b": true, "z": null, "n": 1.5, "i": 7, "l": [1, true], "m": {"k": 1}}"#;

/// Expressions, and the texts that they come to.
const TEXTS: &[(&str, &str)] = &[
    ("row.s ~ '-' ~ row.b", "Ab-true"),
    ("'x' ~ (row.i > 3) ~ (1 == 2)", "xtruefalse"),
    ("row.i * 2 ~ row.n", "141.5"),
    ("row.s ~ 1e21", "Ab1e+21"),
    ("'x' ~ row.z is none", "xtrue"),
    ("[row.s ~ row.b, 'c'] | join(row.b)", "Abtruetruec"),
    ("row.b | string", "true"),
    ("true | upper", "TRUE"),
    ("False | lower", "false"),
    ("true | title", "True"),
    ("true | capitalize", "True"),
    ("row.b | trim('t')", "rue"),
    ("row.s | replace('b', row.b)", "Atrue"),
    ("'xTruextrue' | replace(true, '')", "xTruex"),
    ("row.b | replace('t', 'T', count=1)", "True"),
    ("row.b | split('u') | first", "tr"),
    ("row.b | lines | first", "true"),
    ("row.b | indent(2, true)", "  true"),
    ("row.l | join(', ')", "1, true"),
    (
        "[{'a': true}, {'a': 2}] | join('-', attribute='a')",
        "true-2",
    ),
    ("row.l | join(d='/')", "1/true"),
    ("'abc' | join('.')", "a.b.c"),
    ("row.m | join", "k"),
    ("[true, 'x'] | map('upper') | join", "TRUEX"),
    ("[true, 2] | map('string') | join", "true2"),
    ("'%s-%s' | format(row.b, row.s)", "true-Ab"),
    ("'%03d %.2f %%' | format(row.i, row.n)", "007 1.50 %"),
    ("'%(b)s %(i)d' | format(row)", "true 7"),
    ("'%(b)s' | format(b=false)", "false"),
    ("row.z | default('none', true) ~ '!'", "none!"),
    ("'a' ~ 'b' if row.b else 'c' ~ row.z", "ab"),
];

/// Expressions that would bring something into a text that is none, and what it is.
const NO_TEXTS: &[(&str, &str)] = &[
    ("'bill-' ~ row.z", "null"),
    ("row.z ~ 'x'", "null"),
    ("row.s ~ row.l", "a list"),
    ("row.s ~ row.m", "a map"),
    ("row.s ~ row", "a map"),
    ("'x' ~ range(3)", "a list"),
    ("('x' ~ none) | upper", "null"),
    ("['x' ~ [row.z ~ 'y'][0]] | first", "null"),
    ("row.z | string", "null"),
    ("row.l | string", "a list"),
    ("none | upper", "null"),
    ("row.m | lower", "a map"),
    ("row.z | title", "null"),
    ("row.z | capitalize", "null"),
    ("row.z | trim", "null"),
    ("row.s | replace('b', row.z)", "null"),
    ("row.s | replace(row.l, '')", "a list"),
    ("row.z | split('o')", "null"),
    ("row.z | lines", "null"),
    ("row.l | indent(2)", "a list"),
    ("[1, none] | join", "null"),
    ("[[1], 2] | join('x')", "a list"),
    ("[{'a': none}] | join('-', attribute='a')", "null"),
    ("[1, 2] | join(row.l)", "a list"),
    ("[none] | map('upper') | list", "null"),
    ("'%s' | format(row.z)", "null"),
    ("'%r' | format(row.l)", "a list"),
    ("'%s' | format(row)", "a map"),
    ("'%(z)s' | format(row)", "null"),
    ("'%(z)s' | format(z=none)", "null"),
];

fn manifest(expressions: &[(&str, &str)]) -> String {
    let args = expressions
        .iter()
        .map(|(expression, _)| json!(format!("${{{{ {expression} }}}}")).to_string())
        .collect::<Vec<_>>();
    format!(
        "starts:\n  - forEach: {{items: [{ROW}]}}\n    args:\n    - {}\n",
        args.join("\n    - ")
    )
}

#[test]
fn values_in_texts_are_what_they_are_in_plain_text() {
    let args = &rendered(&folder(&manifest(TEXTS)), &[])[0]["args"];
    for ((expression, expected), found) in TEXTS.iter().zip(args.as_array().expect("a list")) {
        assert_eq!(found, expected, "{expression}");
    }
}

#[test]
fn what_is_no_text_is_an_error_in_every_text() {
    let found = problems(&folder(&manifest(NO_TEXTS)));
    assert_eq!(found.len(), NO_TEXTS.len(), "{found:#?}");
    for ((expression, kind), problem) in NO_TEXTS.iter().zip(&found) {
        let message = problem["message"].as_str().unwrap_or_default();
        let expected = format!("{kind} cannot stand inside of a text");
        assert!(message.starts_with(&expected), "{expression}: {message}");
        let help = problem["help"].as_str().unwrap_or_default();
        assert!(
            help.contains("default('none', true)"),
            "{expression}: {help}"
        );
    }
}

/// Nothing of it may differ from what is not compared with it: the same text by two ways.
#[test]
fn operators_bind_as_they_did() {
    let pairs = [
        ("'x' + 2 ~ 3 * 2", "'x26'"),
        ("-1 ~ -row.i", "'-1-7'"),
        ("2 ** 3 ~ 7 // 2 ~ 7 % 4", "'833'"),
        ("'a' ~ 'b' in 'xab' ~ 'y'", "true"),
        ("not 'a' ~ '' == 'b' ~ ''", "true"),
        ("{'k' ~ 1: 'v' ~ 2}['k' ~ 1]", "'v2'"),
        ("row['s' ~ '']", "'Ab'"),
        ("'abcdef'[(0 ~ 1) | int:(1 ~ 3) | int]", "'bcdef'"),
        ("1e-2 ~ 'x' ~ 0x1f", "'0.01x31'"),
        ("'~' ~ \"~\" ~ 'it\\'s'", "'~~it' ~ '\\'s'"),
    ];
    for (left, right) in pairs {
        let args = &rendered(&folder(&manifest(&[(left, ""), (right, "")])), &[])[0]["args"];
        assert_eq!(args[0], args[1], "{left}");
        assert_ne!(args[0], Value::Null);
    }
}
