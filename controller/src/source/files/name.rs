//! Which names are manifests, and which are what editors and tools leave behind.

/// Tells whether a file or folder is passed over in silence.
pub(super) fn is_ignored(name: &str) -> bool {
    name.starts_with('.')
        || name.ends_with('~')
        || [".swp", ".swo", ".swx"].iter().any(|ending| name.ends_with(ending))
        || (name.starts_with('#') && name.ends_with('#'))
}

pub(super) fn is_manifest(name: &str) -> bool {
    [".yaml", ".yml", ".json"].iter().any(|ending| name.len() > ending.len() && name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::{is_ignored, is_manifest};

    #[test]
    fn what_editors_and_tools_leave_is_ignored() {
        for name in [".git", "..data", ".a.yaml.swp", "a.yaml~", "a.yaml.swp", "#a.yaml#", ".#a.yaml"] {
            assert!(is_ignored(name), "{name}");
        }
        for name in ["a.yaml", "office", "#1.yaml"] {
            assert!(!is_ignored(name), "{name}");
        }
    }

    #[test]
    fn manifests_are_yaml_and_json() {
        for name in ["a.yaml", "a.yml", "a.json", "a.b.yaml"] {
            assert!(is_manifest(name), "{name}");
        }
        for name in ["a", "README.md", "yaml", ".yaml", "a.yaml.orig", "a.YAML.txt"] {
            assert!(!is_manifest(name), "{name}");
        }
    }
}
