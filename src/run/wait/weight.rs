//! What takes much memory while it waits to be told.

use serde_json::Value;

use crate::run::event::WorkflowEnd;

/// Most that is told beside others, in values and bytes of text.
const MOST: usize = 16 * 1024;

/// Whether a Workflow's end takes much memory, by its result or its failure.
pub(super) fn is_large(end: &WorkflowEnd) -> bool {
    let result = end.result.as_ref();
    let room = result.map_or(Some(MOST), |result| after(result, MOST));
    let mut causes = end.failure.iter().flat_map(|failure| failure.chain());
    let room = room.and_then(|room| {
        causes.try_fold(room, |room, failure| {
            let kind = failure.kind.as_ref().map_or(0, String::len);
            room.checked_sub(failure.message.len() + kind)
        })
    });
    room.is_none()
}

/// What is left of the room after a value. Looks at no more of it than there is room for.
fn after(value: &Value, room: usize) -> Option<usize> {
    let room = room.checked_sub(1)?;
    match value {
        Value::String(text) => room.checked_sub(text.len()),
        Value::Array(items) => items.iter().try_fold(room, |room, item| after(item, room)),
        Value::Object(entries) => entries.iter().try_fold(room, |room, (key, item)| {
            after(item, room.checked_sub(key.len())?)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => Some(room),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::run::event::WorkflowStatus;
    use crate::run::service::WorkflowFailure;

    fn end(result: Option<Value>, failure: Option<WorkflowFailure>) -> WorkflowEnd {
        WorkflowEnd {
            status: WorkflowStatus::Completed,
            at: None,
            result,
            failure,
            close_time: None,
        }
    }

    #[test]
    fn values_and_texts_weigh() {
        let large = "a".repeat(MOST);
        for (result, expected) in [
            (json!(null), false),
            (json!({"a": ["b", 1, true]}), false),
            (json!(vec![0; MOST - 1]), false),
            (json!(vec![0; MOST]), true),
            (json!(large), true),
            (json!({large.as_str(): 1}), true),
            (json!([[[{"a": large.as_str()}]]]), true),
        ] {
            assert_eq!(is_large(&end(Some(result), None)), expected);
        }
        assert!(!is_large(&end(None, None)));
        let cause = WorkflowFailure {
            message: large,
            kind: None,
            cause: None,
        };
        let failure = WorkflowFailure {
            message: "outer".to_owned(),
            kind: Some("Outer".to_owned()),
            cause: Some(Box::new(cause)),
        };
        assert!(is_large(&end(None, Some(failure))));
    }
}
