//! What holds for every input.

#[path = "world/folder.rs"]
mod world;

use horizon_api::resource::Kind;
use horizon_planner::{
    check::check,
    compile::{Compiled, Input, SourceSnapshot, compile},
    manifest::parse_folder,
};
use proptest::prelude::*;
use world::{Folder, Memory};

/// Text that looks more like YAML than random bytes do.
fn yamlish() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("apiVersion: horizon.dev/v1alpha1\n".to_owned()),
        Just("kind: Network\n".to_owned()),
        Just("kind: AccessPolicy\n".to_owned()),
        Just("metadata: {name: office}\n".to_owned()),
        Just("metadata:\n  name: other\n".to_owned()),
        Just("spec:\n  addressPools: [{cidr: 10.77.0.0/24}]\n".to_owned()),
        Just("spec: {}\n".to_owned()),
        Just("---\n".to_owned()),
        Just("  - &a *a\n".to_owned()),
        Just("\t".to_owned()),
        Just("[{".to_owned()),
        Just("}]\n".to_owned()),
        Just("!!str \"".to_owned()),
        "[ -~\n]{0,12}",
        any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(word, 0..24).prop_map(|words| words.concat())
}

proptest! {
    // Most cuts of a file leave it whole enough.
    #![proptest_config(ProptestConfig { max_global_rejects: 50_000, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_get_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        check(&[("a.yaml", &bytes)], 0);
    }

    #[test]
    fn arbitrary_text_gets_an_answer(text in yamlish()) {
        check(&[("a.yaml", text.as_bytes())], 0);
    }

    #[test]
    fn a_bad_file_leaves_every_other_object_as_it_was(text in yamlish()) {
        let mut memory = Memory::default();
        let before = memory.apply(&Folder::office());
        let bad = Folder::office().with("zz.yaml", &text);
        prop_assume!(check(&[("zz.yaml", text.as_bytes())], 0).iter().any(|problem| problem.is_error()));

        let after = memory.apply(&bad);

        for (key, object) in before.objects.iter() {
            prop_assert_eq!(&after.objects[key].spec, &object.spec);
        }
        for (server, sections) in &before.sections {
            let kept = sections.iter().filter(|s| !s.header.name.starts_with("policy/"));
            for section in kept {
                prop_assert!(after.sections[server].contains(section), "{}", section.header.name);
            }
        }
    }

    #[test]
    fn a_broken_file_never_shrinks_what_is_published(cut in 1usize..900, file in 0usize..4) {
        let mut memory = Memory::default();
        let before = memory.apply(&Folder::office());
        let (name, text) = world::OFFICE[file];
        let cut = &text[..cut.min(text.len() - 1)];
        let whole = parse_folder(&[(name, cut.as_bytes())]);
        prop_assume!(!whole.broken_files.is_empty());

        let after = memory.apply(&Folder::office().with(name, cut));

        prop_assert_eq!(after.pruned, vec![]);
        prop_assert_eq!(after.sections, before.sections);
    }

    #[test]
    fn order_means_nothing(seed in proptest::collection::vec(0usize..100, 6)) {
        let folder = Folder::office().with("b.yaml", &world::user_and_device("b"));
        let mut documents: Vec<String> =
            folder.0.values().flat_map(|text| text.split("---\n").map(str::to_owned).collect::<Vec<_>>()).collect();
        let straight = Memory::default().apply(&folder);
        for (index, swap) in seed.iter().enumerate() {
            let length = documents.len();
            documents.swap(index % length, swap % length);
        }
        let (first, second) = documents.split_at(seed[0] % documents.len());
        let files = [("x.yaml", first.join("---\n")), ("w.yaml", second.join("---\n"))];
        let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
        let source = SourceSnapshot { source: world::SOURCE.into(), parsed: parse_folder(&files).into(), is_complete: true };

        let shuffled = compile(&Input { sources: vec![source], ..Input::default() }, 0);

        prop_assert_eq!(shuffled.sections, straight.sections);
        prop_assert_eq!(shuffled.allocations, straight.allocations);
        prop_assert_eq!(shuffled.effective, straight.effective);
    }

    #[test]
    fn compiling_again_changes_nothing(text in yamlish()) {
        let mut memory = Memory::default();
        memory.apply(&Folder::office());
        let folder = Folder::office().with("zz.yaml", &text);

        let once = memory.apply(&folder);
        memory.now = 1_000;
        let twice = memory.apply(&folder);

        prop_assert_eq!(&twice.objects, &once.objects);
        prop_assert_eq!(&twice.sections, &once.sections);
        prop_assert_eq!(&twice.allocations, &once.allocations);
    }

    #[test]
    fn no_two_have_one_address(counts in proptest::collection::vec(0usize..12, 1..5)) {
        let mut memory = Memory { approves: true, ..Memory::default() };
        for count in counts {
            let users = (0..count).map(|index| world::user_and_device(&format!("u{index}"))).collect::<Vec<_>>();
            let compiled = memory.apply(&Folder::office().with("users-2.yaml", &users.join("---\n")));
            let mut addresses: Vec<_> =
                compiled.allocations.iter().flat_map(|(_, _, addresses)| addresses.to_vec()).collect();
            let all = addresses.len();
            addresses.sort_unstable();
            addresses.dedup();

            prop_assert_eq!(addresses.len(), all);
            prop_assert_eq!(all, 2 * (count + 2));
        }
    }

    #[test]
    fn who_stays_keeps_the_address(rounds in proptest::collection::vec(proptest::collection::btree_set(0usize..40, 0..30), 2..6)) {
        let mut memory = Memory { approves: true, ..Memory::default() };
        let mut earlier = None;
        for present in rounds {
            let users: Vec<_> = present.iter().map(|index| world::user_and_device(&format!("u{index}"))).collect();
            let compiled = memory.apply(&Folder::office().with("users-2.yaml", &users.join("---\n")));
            for index in earlier.iter().flat_map(|(before, _): &(std::collections::BTreeSet<usize>, Compiled)| before.intersection(&present)) {
                let device = format!("Device/u{index}-pc");
                let before = earlier.as_ref().map(|(_, compiled)| world::addresses(compiled, &device));
                prop_assert_eq!(before, Some(world::addresses(&compiled, &device)), "{}", device);
            }
            earlier = Some((present, compiled));
        }
    }
}

/// Every bad file that the other tests know, beside a good folder: what the good folder declares goes on as it was.
#[test]
fn no_known_mistake_touches_what_stands_in_other_files() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad-input");
    let mut tried = 0;
    for entry in std::fs::read_dir(corpus).expect("the folder is there") {
        let path = entry.expect("readable").path();
        if path.extension().is_none_or(|ending| ending == "out") {
            continue;
        }
        let bytes = std::fs::read(&path).expect("readable");
        if !check(&[("zz.yaml", &bytes)], 0).iter().any(|problem| problem.is_error()) {
            continue;
        }
        let mut memory = Memory::default();
        let before = memory.apply(&Folder::office());

        let office = world::OFFICE.map(|(name, text)| (name, text.as_bytes()));
        let files = [office.as_slice(), &[("zz.yaml", bytes.as_slice())]].concat();
        let source = SourceSnapshot {
            source: world::SOURCE.into(),
            parsed: parse_folder(&files).into(),
            is_complete: true,
        };
        let after = memory.apply_snapshot(source);

        for (key, object) in before.objects.iter() {
            assert_eq!(after.objects[key].spec, object.spec, "{}: {key}", path.display());
        }
        // A policy of the file that is fine adds its own rules to those that were there.
        let adds_policies = after
            .objects
            .keys()
            .any(|key| key.kind == Kind::AccessPolicy && !before.objects.contains_key(key));
        for (server, sections) in &before.sections {
            for section in sections {
                let is_same = after.sections[server].contains(section);
                let is_policy = section.header.name.starts_with("policy/");
                assert!(
                    is_same || (is_policy && adds_policies),
                    "{}: {}",
                    path.display(),
                    section.header.name
                );
            }
        }
        tried += 1;
    }
    assert!(tried > 20, "only {tried} files were tried");
}
