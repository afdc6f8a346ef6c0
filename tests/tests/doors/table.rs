//! What differs at the other doors, each with its reason. `docs/one-verdict.md` is made of this.

use std::fmt;

/// A way in. What the folder says is what the others are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Door {
    /// The resource API of a controller that runs alone.
    Alone,
    /// A Kubernetes API server with our CRDs, and the controller that watches it.
    Cluster,
    /// The editor of the console, before anything is written.
    Console,
}

/// Why doors differ.
pub(crate) struct Reason {
    pub(crate) title: &'static str,
    pub(crate) doors: &'static [Door],
    /// One sentence each.
    pub(crate) why: &'static str,
    /// Each of them occurs at each of the doors.
    pub(crate) ways: &'static [Way],
}

/// How it differs.
#[derive(Debug)]
pub(crate) enum Way {
    /// `FILE#NUMBER` is refused by one of them and accepted by the other, or never sent.
    Verdict(&'static str),
    /// No client finds a path to send it to.
    NotSent,
    /// `FILE#NUMBER PATH`: both refuse it, and only the folder says what is wrong there.
    Unsaid(&'static str),
    /// The object is taken, and its status says why it is kept out.
    InStatus,
    /// A status tells the first reason only.
    FirstOnly,
    /// The same words, at the list or object in which it is.
    Place,
    /// What the folder says with this code, they say with these words.
    Words { ours: &'static str, theirs: &'static str },
    /// They say this beside it.
    More(&'static str),
}

use Door::{Alone, Cluster, Console};

pub(crate) const REASONS: &[Reason] = &[
    Reason {
        title: "What nobody can send",
        doors: &[Alone, Cluster],
        why: "A client finds the path of an object by its `apiVersion` and `kind`, so it refuses a text without them itself, and one of a kind that nobody serves.",
        ways: &[Way::NotSent],
    },
    Reason {
        title: "Documents of other programs",
        doors: &[Alone, Cluster],
        why: "A folder leaves a ConfigMap alone. A client sends it to where its kind is served, or says that nobody serves it.",
        ways: &[Way::Verdict("28-versions.yaml#6")],
    },
    Reason {
        title: "Metadata",
        doors: &[Alone, Cluster],
        why: "An API server judges metadata of every kind by its own rules, and clients know its words. The API of the controller alone uses the same words.",
        ways: &[
            Way::Words { ours: "Format", theirs: "a lowercase RFC 1123 subdomain" },
            Way::Words { ours: "Format", theirs: "a valid label must be" },
            Way::Words { ours: "TooLong", theirs: "must be no more than" },
            Way::Words { ours: "Required", theirs: "name or generateName is required" },
            Way::Words { ours: "Type", theirs: "name or generateName is required" },
            Way::Words {
                ours: "Type",
                theirs: "cannot unmarshal string into Go value of type v1.ObjectMeta",
            },
        ],
    },
    Reason {
        title: "Unknown fields",
        doors: &[Alone, Cluster],
        why: "An API server lists them before it looks at anything else, in words that clients know. What SOPS adds to a document is an unknown field too.",
        ways: &[
            Way::Words { ours: "Secret", theirs: "unknown field \"sops\"" },
            Way::Words { ours: "UnknownField", theirs: "unknown field" },
        ],
    },
    Reason {
        title: "A status in an object",
        doors: &[Alone, Cluster],
        why: "Clients send back what they read, so an API drops a status where a file with one is refused.",
        ways: &[Way::Unsaid("30-status.yaml#1 status")],
    },
    Reason {
        title: "An object that is declared twice",
        doors: &[Alone, Cluster],
        why: "An API gets one after the other, so the first stays and the second is refused. Of two in a folder neither is in force.",
        ways: &[Way::Verdict("46-twice.yaml#1"), Way::Words { ours: "Conflicted", theirs: "already exists" }],
    },
    Reason {
        title: "A field that is null",
        doors: &[Alone, Cluster],
        why: "To an API a null is a field that is not there.",
        ways: &[Way::Words { ours: "Type", theirs: "Required value" }],
    },
    Reason {
        title: "A field that is missing",
        doors: &[Alone],
        why: "An API names the place where it should be, the folder the line of what lacks it.",
        ways: &[Way::Place],
    },
    Reason {
        title: "A field that is written twice",
        doors: &[Alone],
        why: "An API server names the field, in words that clients know.",
        ways: &[Way::Words { ours: "DuplicateKey", theirs: "duplicate field" }],
    },
    Reason {
        title: "Numbers that readers disagree about",
        doors: &[Alone],
        why: "An object holds a number and not how it was written, so such a text is refused before there is an object in which more could be wrong.",
        ways: &[
            Way::Words { ours: "Type", theirs: "this number is not the same one for every reader" },
            Way::Unsaid("23-integers.yaml#2 spec.endpoints[0].port"),
            Way::Unsaid("23-integers.yaml#2 spec.endpoints[1].port"),
        ],
    },
    Reason {
        title: "What is in use",
        doors: &[Alone, Cluster],
        why: "At the door two texts of an object are compared. How many addresses would be lost is seen by whoever gave them out.",
        ways: &[Way::Words { ours: "PoolInUse", theirs: "a pool may not be removed or made smaller" }],
    },
    Reason {
        title: "Reasons in a status",
        doors: &[Alone, Cluster],
        why: "What only the whole world shows, such as a missing reference, is no reason to refuse an object at the door. It is taken and kept out, its status says the first reason, and it heals by itself when the world changes. In a cluster everything that no schema can say is said there, such as that a key is not on its curve.",
        ways: &[Way::InStatus, Way::FirstOnly],
    },
    Reason {
        title: "A text alone",
        doors: &[Console],
        why: "While somebody writes, each object is judged by itself. What it has in common with others, and what of it may not change, is said when it is written.",
        ways: &[
            Way::Verdict("36-pools.yaml#7"),
            Way::Verdict("38-pools.yaml#1"),
            Way::Verdict("38-pools.yaml#2"),
            Way::Verdict("39-addresses.yaml#4"),
            Way::Verdict("39-addresses.yaml#5"),
            Way::Verdict("39-addresses.yaml#6"),
            Way::Verdict("39-addresses.yaml#7"),
            Way::Verdict("40-changes.yaml#1"),
            Way::Verdict("40-changes.yaml#3"),
            Way::Verdict("41-references.yaml#1"),
            Way::Verdict("45-keys.yaml#4"),
            Way::Verdict("46-twice.yaml#1"),
            Way::Verdict("46-twice.yaml#2"),
            Way::Verdict("50-unknown.yaml#2"),
            Way::Verdict("audience.yaml#4"),
            Way::Verdict("devices-max.yaml#4"),
            Way::Verdict("logins.yaml#2"),
            Way::Verdict("logins.yaml#5"),
            Way::Verdict("sealed-later.yaml#1"),
            Way::Verdict("sealed.yaml#2"),
        ],
    },
    Reason {
        title: "What a schema forbids",
        doors: &[Cluster],
        why: "An API server has words of its own for schemas. Only the messages of rules are ours.",
        ways: &[
            Way::Words { ours: "Range", theirs: "in body should be greater than or equal to" },
            Way::Words { ours: "Range", theirs: "in body should be less than or equal to" },
            Way::Words { ours: "Type", theirs: "in body must be of type" },
            Way::Words { ours: "Format", theirs: "in body should match" },
            Way::Words { ours: "Format", theirs: "in body must be of type" },
            Way::Words { ours: "Enum", theirs: "supported values" },
            Way::Words { ours: "TooLong", theirs: "may not be more than" },
            Way::Words { ours: "TooLong", theirs: "must have at most" },
            Way::Words { ours: "TooShort", theirs: "in body should have at least" },
            Way::Words { ours: "Duplicate", theirs: "Duplicate value" },
            Way::Words { ours: "Required", theirs: "Required value" },
        ],
    },
    Reason {
        title: "Secrets",
        doors: &[Cluster],
        why: "A schema knows patterns and no secrets. Beware: where a pasted secret does not match, an API server repeats it in its answer.",
        ways: &[Way::Words { ours: "Secret", theirs: "in body should match" }],
    },
    Reason {
        title: "Rules that are not asked",
        doors: &[Cluster],
        why: "Where the schema itself is broken, an API server asks no rules and says so. What a pattern allows and a rule forbids is said when the rest is right.",
        ways: &[
            Way::More("some validation rules were not checked"),
            Way::Unsaid("31-unions.yaml#5 spec.rules[1].ports[0]"),
            Way::Unsaid("31-unions.yaml#5 spec.rules[1].ports[3]"),
            Way::Unsaid("31-unions-new.yaml#11 spec.windows[0].end"),
        ],
    },
    Reason {
        title: "More than one reason",
        doors: &[Cluster],
        why: "Where a type or a pattern is broken, an API server looks at bounds and asks rules all the same, and they see what they were not made for.",
        ways: &[
            Way::More("type conversion error"),
            Way::More("must be between 1m and 720h"),
            Way::More("in body should be less than or equal to"),
        ],
    },
    Reason {
        title: "Places in lists",
        doors: &[Cluster],
        why: "A rule about the items of a list together points at the list, because a schema can name no index. It says the first item's words once.",
        ways: &[Way::Place],
    },
    Reason {
        title: "What no schema can say",
        doors: &[Cluster],
        why: "Which zones there are, and which keys of labels are Horizon's own, is known to the controller, which looks when the API server has nothing to say.",
        ways: &[
            Way::Unsaid("30-status.yaml#1 metadata.labels.horizon.dev/owner"),
            Way::Unsaid("windows.yaml#2 spec.windows[0].timeZone"),
            Way::Unsaid("windows.yaml#2 spec.windows[1].timeZone"),
        ],
    },
    Reason {
        title: "Messages that are always the same",
        doors: &[Cluster],
        why: "The rule for prefixes cannot name the prefix that was meant.",
        ways: &[Way::Words { ours: "Format", theirs: "must be a prefix without bits behind its length" }],
    },
    Reason {
        title: "Another reader of YAML",
        doors: &[Cluster],
        why: "An API server reads YAML 1.1: `yes` and `no` are booleans, `0777` is an octal number and `1e3` a whole one. So does `kubectl`, wherever it sends to. What is no YAML at all they refuse in their own words.",
        ways: &[
            Way::Verdict("24-booleans.yaml#1"),
            Way::Verdict("25-words.yaml#1"),
            Way::Unsaid("23-integers.yaml#2 spec.endpoints[2].port"),
            Way::Unsaid("23-integers.yaml#2 spec.endpoints[4].port"),
            Way::Unsaid("23-integers.yaml#2 spec.endpoints[5].port"),
            Way::Unsaid("23-integers.yaml#2 spec.endpoints[6].port"),
            Way::Words { ours: "Type", theirs: "json: unsupported value" },
            Way::Words { ours: "Tab", theirs: "found character that cannot start any token" },
            Way::Words { ours: "Syntax", theirs: "found unexpected end of stream" },
            Way::Words { ours: "Invisible", theirs: "a lowercase RFC 1123 subdomain" },
            Way::Words { ours: "DuplicateKey", theirs: "already set in map" },
        ],
    },
];

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Alone => "the API of a controller alone",
            Cluster => "a Kubernetes cluster",
            Console => "the editor of the console",
        })
    }
}
