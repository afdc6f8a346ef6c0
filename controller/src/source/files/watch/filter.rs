//! Which events of the kernel are worth a look.

use std::path::{Path, PathBuf};

use notify::EventKind;

/// Not our own reading, and not what happens beside the root.
pub(super) struct Filter {
    pub(super) root: PathBuf,
    pub(super) real_root: Option<PathBuf>,
}

impl Filter {
    pub(super) fn is_hint(&self, event: &notify::Event) -> bool {
        if matches!(event.kind, EventKind::Access(_)) {
            return false;
        }
        event.need_rescan() || event.paths.is_empty() || event.paths.iter().any(|path| self.concerns(path))
    }

    fn concerns(&self, path: &Path) -> bool {
        let inside = self.real_root.as_ref().and_then(|root| path.strip_prefix(root).ok());
        match inside.or_else(|| path.strip_prefix(&self.root).ok()) {
            // Git's own files change when it looks at itself; these say that it changed what is checked out.
            Some(inside) if inside.starts_with(".git") => {
                [".git", ".git/HEAD", ".git/index", ".git/packed-refs"]
                    .iter()
                    .any(|path| inside == Path::new(path))
                    || inside.starts_with(".git/refs/heads")
            }
            Some(_) => true,
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use notify::event::{AccessKind, CreateKind, Flag};
    use notify::{Event, EventKind};

    use super::Filter;

    #[track_caller]
    fn check(kind: EventKind, path: &str, expected: bool) {
        let filter = Filter { root: "/etc/horizon".into(), real_root: Some("/srv/git/5".into()) };
        let event = Event::new(kind).add_path(PathBuf::from(path));
        assert_eq!(filter.is_hint(&event), expected, "{path}");
    }

    #[test]
    fn only_changes_of_the_root_and_inside_it_are_hints() {
        let created = EventKind::Create(CreateKind::Any);
        check(created, "/srv/git/5/a.yaml", true);
        check(created, "/srv/git/5/..data", true);
        check(created, "/srv/git/5", true);
        check(created, "/etc/horizon", true);
        check(created, "/etc/passwd", false);
        check(created, "/srv/git/6", false);
        check(created, "/srv/git/5/.git/index.lock", false);
        check(created, "/srv/git/5/.git/objects/5f/0718", false);
        check(created, "/srv/git/5/.git/index", true);
        check(created, "/srv/git/5/.git/refs/heads/main", true);
        check(EventKind::Access(AccessKind::Any), "/srv/git/5/a.yaml", false);
    }

    #[test]
    fn overflow_is_a_hint() {
        let filter = Filter { root: Path::new("/a").into(), real_root: None };
        assert!(filter.is_hint(&Event::new(EventKind::Other).set_flag(Flag::Rescan)));
    }
}
