//! What values are in a text: the same, however the text is made.

use serde_json::json;

use crate::rows::{folder, rendered};

const ROW: &str =
    r#"{"s": "Ab", "b": true, "z": null, "n": 1.5, "i": 7, "l": [1, true], "m": {"k": 1}}"#;

/// Expressions, and the texts that they come to.
const TEXTS: &[(&str, &str)] = &[
    ("row.s ~ '-' ~ row.b", "Ab-True"),
    ("'bill-' ~ row.z", "bill-None"),
    ("none | upper", "NONE"),
    ("row.b | string", "True"),
    ("row.l | join(', ')", "1, True"),
    ("'%s' | format(row.z)", "None"),
    ("row.s | replace('b', row.z)", "ANone"),
    ("row.m | string", "{'k': 1}"),
    ("row.s ~ row.l", "Ab[1, True]"),
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
fn values_in_texts_are_what_python_shows() {
    let args = &rendered(&folder(&manifest(TEXTS)), &[])[0]["args"];
    for ((expression, expected), found) in TEXTS.iter().zip(args.as_array().expect("a list")) {
        assert_eq!(found, expected, "{expression}");
    }
}
