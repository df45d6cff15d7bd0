fn main() {
    let args: Vec<_> = std::env::args().skip(1).collect();
    if args[0] == "gen" {
        println!(
            "{}",
            serde_json::to_string_pretty(&temporal_manifest::manifest::schema::generate()).unwrap()
        );
        return;
    }
    let mut l = temporal_manifest::manifest::load(&args.iter().map(Into::into).collect::<Vec<_>>());
    use temporal_manifest::manifest::diagnostic::*;
    sort(&mut l.diagnostics);
    print!(
        "{}",
        render(
            &l.diagnostics,
            Style {
                color: false,
                width: 80
            }
        )
    );
    println!("{} manifests", l.manifests.len());
}
