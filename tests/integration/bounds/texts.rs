//! Texts that nobody should write: families of them, of any size, from random numbers.
//!
//! Each is all that the program reads in one run. The tests hold the answers against the manual,
//! and a benchmark writes the same texts to files and measures how long they take.

use std::iter::repeat_n;

/// Largest text, in bytes.
pub(crate) const LARGEST: usize = 10_000_000;

/// What the program is given.
pub(crate) struct Text {
    /// Its family, and what it is like.
    pub(crate) name: String,
    /// The command line; file names are those below.
    pub(crate) arguments: Vec<&'static str>,
    /// Files by their names, in the folder in which the program runs.
    pub(crate) files: Vec<(&'static str, Vec<u8>)>,
}

/// Random numbers, the same from the same seed (`SplitMix64`).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// A family: a name, and how a text of it is made that has about so many bytes.
pub(crate) type Family = (&'static str, fn(&mut Numbers, usize) -> Text);

/// All families.
pub(crate) const FAMILIES: &[Family] = &[
    ("nesting", nesting),
    ("flow", flow),
    ("scalars", scalars),
    ("keys", keys),
    ("documents", documents),
    ("starts", starts),
    ("aliases", aliases),
    ("anchors", anchors),
    ("merges", merges),
    ("tags", tags),
    ("garbage", garbage),
    ("mistakes", mistakes),
    ("filters", filters),
    ("expressions", expressions),
    ("growth", growth),
    ("calls", calls),
    ("matrix", matrix),
    ("items", items),
    ("csv", csv),
    ("jsonl", jsonl),
    ("json", json),
    ("variables", variables),
    ("journal", journal),
    ("schema ways", schema_ways),
    ("schema unevaluated", schema_unevaluated),
    ("schema chain", schema_chain),
    ("schema tree", schema_tree),
    ("schema pattern", schema_pattern),
    ("schema enum", schema_enum),
    ("schema unique", schema_unique),
    ("schema names", schema_names),
    ("schema many", schema_many),
];

const HEAD: &str = "apiVersion: temporal-manifest/v1\nkind: Starts\nmetadata: {name: hostile}\n\
                    defaults: {type: T, taskQueue: q}\n";

/// A text of a family that is checked as a manifest.
fn manifest(name: String, text: String) -> Text {
    Text {
        name,
        arguments: vec!["validate", "m.yaml"],
        files: vec![("m.yaml", text.into_bytes())],
    }
}

/// One start with these arguments, in brackets, as YAML.
fn with_args(name: String, args: &str) -> Text {
    manifest(name, format!("{HEAD}starts:\n  - args: [{args}]\n"))
}

/// A file with rows for one entry.
fn with_rows(name: String, kind: &str, file: &'static str, rows: Vec<u8>, arg: &str) -> Text {
    let entry = format!("starts:\n  - forEach: {{{kind}: {file}}}\n    args: [\"{arg}\"]\n");
    let mut text = manifest(name, format!("{HEAD}{entry}"));
    text.files.push((file, rows));
    text
}

/// One start whose only argument is held against a schema.
fn with_schema(name: String, schema: &str, argument: &str) -> Text {
    let starts = format!("starts:\n  - args: [{argument}]\n");
    manifest(name, format!("{HEAD}argSchemas:\n  T: {schema}\n{starts}"))
}

/// Pieces one after the other until there are so many bytes.
fn filled(size: usize, mut piece: impl FnMut(usize) -> String) -> String {
    let mut text = String::with_capacity(size + 64);
    for number in 0.. {
        if text.len() >= size {
            break;
        }
        text.push_str(&piece(number));
    }
    text
}

fn nesting(numbers: &mut Numbers, size: usize) -> Text {
    let mark = numbers.pick(&["[", "{a: ", "- ", "? ", "&a [", "!!seq [", "{? ["]);
    let levels = numbers.pick(&[100, 127, 1_000, size / mark.len()]);
    let closed = match mark {
        "[" => "]".repeat(levels),
        "{a: " => "}".repeat(levels),
        _ => String::new(),
    };
    let args = format!("{}1{closed}", mark.repeat(levels));
    with_args(format!("{levels} times {mark}"), &args)
}

fn flow(numbers: &mut Numbers, size: usize) -> Text {
    let item = numbers.pick(&["1,", "[],", "{},", "a: 1,", "\"x\",", ",", "[1,", "~ ,"]);
    let inner = item.repeat(size / item.len());
    let args = match item {
        "a: 1," => format!("{{{}}}", filled(size, |n| format!("k{n}: 1,"))),
        _ => format!("[{inner}]"),
    };
    with_args(format!("many {item}"), &args)
}

fn scalars(numbers: &mut Numbers, size: usize) -> Text {
    let piece = numbers.pick(&[
        "x", "é", "\\u0000", "\\n", "世", "0", " ", "${{", "${{ '", "'",
    ]);
    let content = piece.repeat(size / piece.len());
    let args = match numbers.below(3) {
        0 => format!("\"{content}\""),
        1 => format!("'{content}'"),
        _ => content,
    };
    with_args(format!("one of {piece}"), &args)
}

fn keys(numbers: &mut Numbers, size: usize) -> Text {
    let at = numbers.below(4);
    let entries = filled(size, |n| match at {
        0 => format!("        k{n}: {n}\n"),
        1 => format!("        k{}: {n}\n", n / 2),
        _ => format!("    workflowIdd{n}: {n}\n"),
    });
    let before = if at < 2 { "    memo:\n" } else { "" };
    let text = format!("{HEAD}starts:\n  - workflowId: a\n{before}{entries}");
    manifest(format!("many, {at}"), text)
}

fn documents(numbers: &mut Numbers, size: usize) -> Text {
    let document = numbers.pick(&[
        "---\n",
        "---\na\n",
        "--- {}\n",
        "--- [\n",
        "--- {apiVersion: temporal-manifest/v1, kind: Starts, metadata: {name: d}, starts: [{type: T, taskQueue: q}]}\n",
        "%TAG !x! tag:x\n---\n",
    ]);
    let text = document.repeat(size / document.len());
    manifest(format!("many {}", document.trim()), text)
}

fn starts(numbers: &mut Numbers, size: usize) -> Text {
    let start = numbers.pick(&[
        "  - {}\n",
        "  - workflowId: a\n",
        "  - args: [1, {a: [b]}]\n",
        "  - {searchAttributes: {k: v}, memo: {a: 1}}\n",
        "  - args: ['${{ index }}', '${{ index + 1 }}']\n",
    ]);
    let text = format!("{HEAD}starts:\n{}", start.repeat(size / start.len()));
    manifest(format!("many {}", start.trim()), text)
}

fn aliases(numbers: &mut Numbers, size: usize) -> Text {
    let times = 2 + numbers.below(9);
    let levels = 2 + numbers.below(40);
    let leaf = "x".repeat(numbers.below(size / 2));
    let mut text = format!("{HEAD}starts:\n  - args:\n      - &x0 [\"{leaf}\"]\n");
    for level in 1..levels {
        let before = format!("*x{}", level - 1);
        let list: Vec<_> = repeat_n(before, times).collect();
        text.push_str(&format!("      - &x{level} [{}]\n", list.join(", ")));
    }
    let many = filled(size / 2, |_| format!("      - *x{}\n", levels / 2));
    manifest(format!("{levels} levels of {times}"), text + &many)
}

fn anchors(numbers: &mut Numbers, size: usize) -> Text {
    let levels = 1 + numbers.below(120);
    let opened: String = (0..levels).map(|n| format!("&a{n} [")).collect();
    let args = format!("{opened}{}{}", "1,".repeat(size / 2), "]".repeat(levels));
    with_args(format!("{levels} levels"), &args)
}

fn merges(numbers: &mut Numbers, size: usize) -> Text {
    let times = 1 + numbers.below(3);
    let mut text = format!("{HEAD}starts:\n  - args:\n      - &m0 {{k: 1}}\n");
    let levels = filled(size, |n| {
        let list: Vec<_> = repeat_n(format!("*m{n}"), times).collect();
        format!(
            "      - &m{} {{<<: [{}], k{n}: 1}}\n",
            n + 1,
            list.join(", ")
        )
    });
    text.push_str(&levels);
    manifest(format!("of {times}"), text)
}

fn tags(numbers: &mut Numbers, size: usize) -> Text {
    let tag = numbers.pick(&[
        "!!binary aGVsbG8=",
        "!!str 1",
        "!!int x",
        "!a b",
        "!!float 1e999",
        "!!null x",
    ]);
    let args = filled(size, |_| format!("{tag}, "));
    with_args(format!("many {tag}"), &args)
}

fn garbage(numbers: &mut Numbers, size: usize) -> Text {
    let marks = "-?:,[]{}#&*!|>'\"%@`~<a0 .\n\t\ré\u{FEFF}\0";
    let marks: Vec<char> = marks.chars().collect();
    let mut text: Vec<u8> = format!("{HEAD}starts:\n  - args: ").into_bytes();
    while text.len() < size {
        if numbers.below(8) == 0 {
            text.push(numbers.below(256) as u8);
        } else {
            let mark = numbers.pick(&marks);
            text.extend(mark.to_string().bytes());
        }
    }
    let mut made = manifest("any bytes".to_owned(), String::new());
    made.files = vec![("m.yaml", text)];
    made
}

fn mistakes(numbers: &mut Numbers, size: usize) -> Text {
    let mistake = numbers.pick(&[
        "  - {colour: red}\n",
        "  - {workflowId: .nan}\n",
        "  - {cronSchedule: '@daily', startDelay: 1s}\n",
        "  - {runTimeout: 1x, taskTimeout: -1s}\n",
        "  - {args: ['${{ nothing }}']}\n",
        "  - {args: ['${{ 1 + }}']}\n",
        "  - {taskQueue: ''}\n",
    ]);
    let text = format!("{HEAD}starts:\n{}", mistake.repeat(size / mistake.len()));
    manifest(format!("many {}", mistake.trim()), text)
}

fn filters(numbers: &mut Numbers, size: usize) -> Text {
    let filter = numbers.pick(&["upper", "reverse", "list", "join('ab')", "sort", "string"]);
    let count = numbers.pick(&[10, 100, 150]);
    let chain = format!(" | {filter}").repeat(count);
    let start = format!("  - args: [\"${{{{ index{chain} }}}}\"]\n");
    let starts = start.repeat((size / start.len()).max(1));
    manifest(
        format!("{count} times {filter}"),
        format!("{HEAD}starts:\n{starts}"),
    )
}

fn expressions(numbers: &mut Numbers, size: usize) -> Text {
    let kind = numbers.below(3);
    let many = filled(size, |n| match kind {
        0 => "${{ 1+1 }}".to_owned(),
        1 => format!("${{{{ {n}+1 }}}}"),
        _ => format!("${{{{ [{n}, {n}] | join('x') }}}}"),
    });
    with_args(format!("many, {kind}"), &format!("\"{many}\""))
}

/// Expressions whose values grow with each step.
fn growth(numbers: &mut Numbers, size: usize) -> Text {
    let seed = "x".repeat(size.min(1_900));
    let expression = match numbers.below(6) {
        0 => format!(
            "'{}'{}",
            &seed[..seed.len() / 4],
            " | list | join('yyyyyyyyyyyyyyyy')".repeat(20)
        ),
        1 => format!("'{seed}' * 1000000"),
        2 => "range(100000) | list | join('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')".to_owned(),
        3 => format!(
            "'{}'{}",
            &seed[..seed.len() / 8],
            " | replace('x', 'xxxxxxxx')".repeat(30)
        ),
        4 => "['a', 'b', 'c'] | map('indent', 1000000) | list".to_owned(),
        _ => format!(
            "('{}' | list){}",
            &seed[..seed.len() / 4],
            " | batch(2) | list".repeat(30)
        ),
    };
    let starts = "  - args: [\"${{ EXPRESSION }}\"]\n".replace("EXPRESSION", &expression);
    let times = numbers.pick(&[1, 100, (size / starts.len()).max(1)]);
    manifest(
        format!("{times} times {}", &expression[..expression.len().min(40)]),
        format!("{HEAD}starts:\n{}", starts.repeat(times)),
    )
}

fn calls(numbers: &mut Numbers, size: usize) -> Text {
    let (open, close) = numbers.pick(&[
        ("(", ")"),
        ("[", "]"),
        ("-", ""),
        ("not ", ""),
        ("range(", ")"),
    ]);
    let levels = numbers.pick(&[20, 100, 200, 400]);
    let expression = format!("{}1{}", open.repeat(levels), close.repeat(levels));
    let start = format!("  - args: [\"${{{{ {expression} }}}}\"]\n");
    let starts = start.repeat((size / start.len()).max(1));
    manifest(
        format!("{levels} times {open}"),
        format!("{HEAD}starts:\n{starts}"),
    )
}

fn matrix(numbers: &mut Numbers, size: usize) -> Text {
    let axes = 2 + numbers.below(5);
    let values = numbers.pick(&[2, 10, 100, 1_000, size / 4 / axes]).max(1);
    let list = "1, ".repeat(values);
    let axis = |n| format!("a{n}: [{list}]");
    let axes_text: Vec<_> = (0..axes).map(axis).collect();
    let arg = numbers.pick(&["1", "${{ row.a0 }}", "${{ row.a0 + row.a1 }}"]);
    let text = format!(
        "{HEAD}starts:\n  - forEach: {{matrix: {{{}}}}}\n    args: ['{arg}']\n",
        axes_text.join(", ")
    );
    manifest(format!("{axes} of {values}, {arg}"), text)
}

fn items(numbers: &mut Numbers, size: usize) -> Text {
    let row = numbers.pick(&["{a: 1}, ", "{}, ", "1, ", "{a: [1, 2, 3], b: {c: d}}, "]);
    let rows = row.repeat(size / row.len());
    let text =
        format!("{HEAD}starts:\n  - forEach: {{items: [{rows}]}}\n    args: ['${{{{ row }}}}']\n");
    manifest(format!("many {row}"), text)
}

fn csv(numbers: &mut Numbers, size: usize) -> Text {
    let kind = numbers.below(6);
    let rows = match kind {
        0 => {
            let header = filled(size / 2, |n| format!("c{n},"));
            let row = filled(size / 2, |_| "1,".to_owned());
            format!("{header}\n{row}\n")
        }
        1 => format!("a,b\n\"{}\",1\n", "x".repeat(size)),
        2 => format!("a,b\n\"{}", "x\n".repeat(size / 2)),
        3 => format!("a\n{}", "\n".repeat(size)),
        4 => format!("a,b\n{}", "1,2\n".repeat(size / 4)),
        _ => format!("a,b\n{}", "1,2,3\n".repeat(size / 6)),
    };
    let arg = numbers.pick(&["1", "${{ row.a }}", "${{ row }}"]);
    with_rows(
        format!("{kind}, {arg}"),
        "csv",
        "r.csv",
        rows.into_bytes(),
        arg,
    )
}

fn jsonl(numbers: &mut Numbers, size: usize) -> Text {
    let kind = numbers.below(7);
    let rows = match kind {
        0 => format!("{{\"a\": \"{}\"}}\n", "x".repeat(size)),
        1 => format!(
            "{{\"a\": {}1{}}}\n",
            "[".repeat(size / 2),
            "]".repeat(size / 2)
        ),
        2 => format!("{{\"a\": [{}1]}}\n", "1,".repeat(size / 2)),
        3 => format!(
            "{{{}\"a\": 1}}\n",
            filled(size, |n| format!("\"a{n}\":{n},"))
        ),
        4 => format!("{{{}\"a\": 1}}\n", "\"a\":1,".repeat(size / 6)),
        5 => "{\"a\":1}\n".repeat(size / 8),
        _ => format!("{{\"a\": {}}}\n", "9".repeat(size)),
    };
    let arg = numbers.pick(&["1", "${{ row.a }}", "${{ row }}"]);
    with_rows(
        format!("{kind}, {arg}"),
        "jsonl",
        "r.jsonl",
        rows.into_bytes(),
        arg,
    )
}

fn json(numbers: &mut Numbers, size: usize) -> Text {
    let kind = numbers.below(4);
    let text = match kind {
        0 => format!(
            r#"{{"apiVersion":"temporal-manifest/v1","kind":"Starts","metadata":{{"name":"j"}},"starts":[{}{{"type":"T","taskQueue":"q"}}]}}"#,
            r#"{"type":"T","taskQueue":"q"},"#.repeat(size / 29)
        ),
        1 => "{\"a\":".repeat(size / 5),
        2 => format!("{{{}\"a\":1}}", "\"a\":1,".repeat(size / 6)),
        _ => format!("[{}1]", "1,".repeat(size / 2)),
    };
    let mut made = manifest(format!("kind {kind}"), String::new());
    made.arguments = vec!["validate", "m.json"];
    made.files = vec![("m.json", text.into_bytes())];
    made
}

fn variables(numbers: &mut Numbers, size: usize) -> Text {
    let kind = numbers.below(5);
    let values = match kind {
        0 => format!("{{{}}}", filled(size, |n| format!("v{n}: 1, "))),
        1 => format!("a: \"{}\"\n", "x".repeat(size)),
        2 => format!("a: {}", "[".repeat(size)),
        3 => filled(size, |_| "a: 1\n".to_owned()),
        _ => "\0".repeat(size),
    };
    let text = format!("{HEAD}vars: {{a: x}}\nstarts:\n  - args: ['${{{{ vars.a }}}}']\n");
    let mut made = manifest(format!("kind {kind}"), text);
    made.arguments.extend(["--var-file", "v.yaml"]);
    made.files.push(("v.yaml", values.into_bytes()));
    made
}

fn journal(numbers: &mut Numbers, size: usize) -> Text {
    let kind = numbers.below(5);
    let bytes: Vec<u8> = match kind {
        0 => repeat_n(0, size).collect(),
        1 => (0..size).map(|_| numbers.below(256) as u8).collect(),
        2 => b"{\"journal\":2}\n".repeat(size / 14),
        3 => b"[".repeat(size),
        _ => b"{\"kind\":\"header\",\"version\":1,\"key\":\"a\"}\n".repeat(size / 40),
    };
    Text {
        name: format!("kind {kind}"),
        arguments: vec!["report", "j.jsonl"],
        files: vec![("j.jsonl", bytes)],
    }
}

/// Levels that each lead to the next one more than once.
fn leveled(family: usize, levels: usize, leaf: &str) -> String {
    let level = |n: usize| {
        let next = format!("{{$ref: '#/$defs/d{}'}}", n + 1);
        let body = match family {
            0 => format!("allOf: [{next}, {next}]"),
            1 => format!("anyOf: [{next}, {next}]"),
            2 => format!("oneOf: [{next}, {next}]"),
            3 => format!("not: {{allOf: [{next}, {next}]}}"),
            4 => format!("if: {next}, then: {next}, else: {next}"),
            5 => format!("dependentSchemas: {{a: {next}, b: {next}}}"),
            6 => format!("properties: {{a: {next}}}, patternProperties: {{a: {next}}}"),
            _ => format!("allOf: [{{anyOf: [{next}, {{not: {next}}}]}}, {next}]"),
        };
        format!("d{n}: {{{body}}}, ")
    };
    let defs: String = (0..levels).map(level).collect();
    format!("$defs: {{{defs} d{levels}: {leaf}}}")
}

const LEAVES: [&str; 6] = [
    "true",
    "false",
    "{type: array}",
    "{required: [z]}",
    "{properties: {a: false}}",
    "{not: {}}",
];

const SMALL: [&str; 5] = ["1", "[]", "{a: 1, b: 2}", "null", "[{a: [1]}]"];

fn schema_ways(numbers: &mut Numbers, _: usize) -> Text {
    let (family, levels) = (numbers.below(8), numbers.pick(&[4, 12, 40, 100]));
    let leaf = numbers.pick(&LEAVES);
    let defs = leveled(family, levels, leaf);
    let schema = format!("{{{defs}, items: {{$ref: '#/$defs/d0'}}}}");
    with_schema(
        format!("{family} in {levels} levels to {leaf}"),
        &schema,
        numbers.pick(&SMALL),
    )
}

fn schema_unevaluated(numbers: &mut Numbers, size: usize) -> Text {
    let (family, levels) = (numbers.below(8), numbers.pick(&[4, 8, 12, 40]));
    let keyword = numbers.pick(&["unevaluatedProperties", "unevaluatedItems"]);
    let defs = leveled(family, levels, numbers.pick(&LEAVES));
    let schema = format!("{{{defs}, items: {{$ref: '#/$defs/d0', {keyword}: false}}}}");
    let many = format!("[{}]", "1,".repeat(size.min(1_000_000) / 2));
    let argument = numbers.pick(&[SMALL[2], SMALL[4], &many]).to_owned();
    with_schema(
        format!("{keyword}: {family} in {levels} levels"),
        &schema,
        &argument,
    )
}

fn schema_chain(numbers: &mut Numbers, size: usize) -> Text {
    let levels = numbers
        .pick(&[100, 400, 3_000, 5_000, 30_000, size / 40])
        .max(1);
    let kind = numbers.below(5);
    let level = |n: usize| {
        let next = format!("{{$ref: '#/$defs/d{}'}}", n + 1);
        let body = match kind {
            0 => format!("$ref: '#/$defs/d{}'", n + 1),
            1 => format!("properties: {{a: {next}}}"),
            2 => format!("allOf: [{next}]"),
            3 => format!("items: {next}"),
            _ => format!("allOf: [{next}], unevaluatedProperties: false"),
        };
        format!("d{n}: {{{body}}}, ")
    };
    let defs: String = (0..levels).map(level).collect();
    let schema = format!("{{$defs: {{{defs} d{levels}: {{}}}}, items: {{$ref: '#/$defs/d0'}}}}");
    with_schema(
        format!("{kind}, {levels} levels"),
        &schema,
        numbers.pick(&SMALL),
    )
}

/// A schema that branches at each level of the argument.
fn schema_tree(numbers: &mut Numbers, _: usize) -> Text {
    let levels = 10 + numbers.below(110);
    let keyword = numbers.pick(&["allOf", "anyOf", "oneOf"]);
    let more = numbers.pick(&[
        "",
        ", unevaluatedProperties: false",
        ", unevaluatedItems: false",
    ]);
    let next = "{$ref: '#/$defs/t'}";
    let schema = format!(
        "{{$defs: {{t: {{properties: {{a: {{{keyword}: [{next}, {next}]{more}}}}}}}}}, items: {next}}}"
    );
    let argument = format!(
        "{}{}{}",
        "{a: ".repeat(levels),
        numbers.pick(&["1", "{b: 1}"]),
        "}".repeat(levels)
    );
    with_schema(
        format!("{keyword} in {levels} levels{more}"),
        &schema,
        &argument,
    )
}

fn schema_pattern(numbers: &mut Numbers, size: usize) -> Text {
    let pattern = numbers.pick(&[
        "(a+)+$",
        "(?=a*c)b",
        "(a*)*b",
        "[ab]*b[ab]{1000}c",
        "[ab]*b[ab]{100}c",
        "(a|b|ab)*c",
        "((a{1,100}){1,100}){1,100}",
        "(.*)\\1c",
        "(?<=a)b",
        "\\p{L}{1000}x",
        "^(?=.*a)(?=.*b)(?=.*c).*$",
        "(?:(?=a*b))*c",
    ]);
    let size = size.min(4_000_000);
    let text = match numbers.below(3) {
        0 => "a".repeat(size),
        1 => "ab".repeat(size / 2),
        _ => (0..size).map(|_| numbers.pick(&['a', 'b'])).collect(),
    };
    let (schema, argument) = match numbers.below(3) {
        0 => (
            format!("{{items: {{items: {{pattern: '{pattern}'}}}}}}"),
            format!(
                "[{}]",
                filled(size, |n| format!("{},", &text[..(n % 100).min(size)]))
            ),
        ),
        1 => (
            format!("{{items: {{patternProperties: {{'{pattern}': true}}}}}}"),
            format!(
                "{{{}}}",
                filled(size, |n| format!("{}{n}: 1,", &text[..100.min(size)]))
            ),
        ),
        _ => (format!("{{items: {{pattern: '{pattern}'}}}}"), text),
    };
    with_schema(format!("{pattern} against {size}"), &schema, &argument)
}

fn schema_enum(numbers: &mut Numbers, size: usize) -> Text {
    let values = (size / 30).clamp(1, 90_000);
    let kind = numbers.below(5);
    let value = |n: usize| match kind {
        0 => format!("v{n}"),
        1 => n.to_string(),
        2 => format!("{n}.5"),
        3 => format!("[{n}]"),
        _ => format!("{{a: {n}}}"),
    };
    let list = |from: usize| {
        let all: Vec<_> = (from..from + values).map(value).collect();
        all.join(", ")
    };
    let from = numbers.pick(&[0, values]);
    let schema = format!("{{items: {{items: {{enum: [{}]}}}}}}", list(0));
    with_schema(
        format!("{values} of kind {kind} from {from}"),
        &schema,
        &format!("[{}]", list(from)),
    )
}

fn schema_unique(numbers: &mut Numbers, size: usize) -> Text {
    let kind = numbers.below(5);
    let items = filled(size.min(4_000_000), |n| match kind {
        0 => format!("{n}, "),
        1 => format!("v{n}, "),
        2 => format!("[{n}], "),
        3 => format!("{{a: {n}}}, "),
        _ => format!("{n}.0, "),
    });
    let schema = numbers.pick(&[
        "{items: {uniqueItems: true}}",
        "{items: {uniqueItems: true, contains: {const: x}}}",
        "{items: {anyOf: [{uniqueItems: true, maxItems: 1}, {uniqueItems: true}]}}",
    ]);
    with_schema(
        format!("{schema} of kind {kind}"),
        schema,
        &format!("[{items}]"),
    )
}

fn schema_names(numbers: &mut Numbers, size: usize) -> Text {
    let size = size.min(3_000_000);
    let kind = numbers.below(4);
    let schema = match kind {
        0 => format!(
            "properties: {{{}}}",
            filled(size / 2, |n| format!("k{n}: true, "))
        ),
        1 => format!("required: [{}]", filled(size / 2, |n| format!("k{n}, "))),
        2 => format!(
            "patternProperties: {{{}}}",
            filled(size.min(40_000), |n| format!("k{n}: true, "))
        ),
        _ => "propertyNames: {maxLength: 3, pattern: '^(k|kk)*$'}".to_owned(),
    };
    let more = numbers.pick(&[
        "",
        ", additionalProperties: false",
        ", unevaluatedProperties: false",
    ]);
    let argument = format!("{{{}}}", filled(size / 2, |n| format!("k{n}: 1, ")));
    with_schema(
        format!("kind {kind}{more}"),
        &format!("{{items: {{{schema}{more}}}}}"),
        &argument,
    )
}

/// A small schema, and many starts.
fn schema_many(numbers: &mut Numbers, size: usize) -> Text {
    let schema = numbers.pick(&[
        "{items: {type: string}}",
        "{items: {format: date-time, pattern: '^[0-9TZ:.-]+$'}}",
        "{items: {anyOf: [{type: string}, {type: [array, object]}, {enum: [1, 2, a]}]}}",
        "{prefixItems: [{$ref: '#/$defs/x'}], $defs: {x: {multipleOf: 0.01}}}",
        "{minItems: 1, unevaluatedItems: {type: string}}",
    ]);
    let arg = numbers.pick(&["x", "1", "1.23", "${{ index }}", "2026-11-24T00:00:00Z"]);
    let start = format!("  - args: ['{arg}']\n");
    let starts = start.repeat(size / start.len());
    manifest(
        format!("{schema} and {arg}"),
        format!("{HEAD}argSchemas:\n  T: {schema}\nstarts:\n{starts}"),
    )
}
