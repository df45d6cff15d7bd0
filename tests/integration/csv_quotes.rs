//! Quotes in CSV files: which are meant, and which show that cells are not what they seem.

use serde_json::{Value, json};

use crate::rows::{folder, rendered};

const ENTRY: &str = "starts:
  - forEach: {csv: rows.csv}
    args: [\"${{ row.id }}\", \"${{ row.name }}\"]
";

/// What is wrong with the quotes of a file, and which rows it is read as.
fn cases() -> Vec<(&'static str, Value)> {
    vec![
        (
            "id,name\n1,Ann\n2,\"Bob\n3,Cid\n4,Dan\n",
            json!([["1", "Ann"], ["2", "Bob\n3,Cid\n4,Dan\n"]]),
        ),
        (
            "id,name\n1,Ann\n2,\"Bob\n3,Cid\n4,\"Dan\" Jr\n5,Eve\n",
            json!([["1", "Ann"], ["2", "Bob\n3,Cid\n4,Dan\" Jr"], ["5", "Eve"]]),
        ),
        (
            "id,name\n3,\"un\"quoted\n4,Dan\n",
            json!([["3", "unquoted"], ["4", "Dan"]]),
        ),
        ("id,name\n\"a\" ,b\n", json!([["a ", "b"]])),
        ("id,name\n1,\"2\"3\"\n", json!([["1", "23\""]])),
        (
            "id,name\n1,5\" pipe\n2, \"Bob\"\n3,Cid\n",
            json!([["1", "5\" pipe"], ["2", " \"Bob\""], ["3", "Cid"]]),
        ),
    ]
}

#[test]
fn unsound_quotes_are_read_as_other_cells() {
    for (text, expected) in cases() {
        let folder = folder(ENTRY);
        folder.write("rows.csv", text);
        let rows: Vec<Value> = rendered(&folder, &[])
            .iter()
            .map(|start| start["args"].clone())
            .collect();
        assert_eq!(json!(rows), expected, "{text}");
    }
}
