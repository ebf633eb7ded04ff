//! From the name of a machine type to the words under which its processors and memory are sold.

/// What a machine is sold as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// An hour of a vCPU.
    Core,
    /// An hour of a GiB.
    Memory,
}

impl Part {
    /// As descriptions of the catalogue have it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Core => "Core",
            Self::Memory => "Ram",
        }
    }

    /// The unit that it is sold in.
    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::Core => "h",
            Self::Memory => "GiBy.h",
        }
    }
}

/// Series whose predefined types cost their vCPUs and their memory and nothing else, and how the descriptions of their two
/// parts begin. The catalogue has no other link from types to prices (descriptions as they were in August 2026, for
/// example in `build/mapping.csv` of Cyclenerd/google-cloud-pricing-cost-calculator). Not here: whatever has accelerators
/// or disks of its own, or several prices.
const SERIES: [(&str, &str); 18] = [
    ("c2", "Compute optimized"),
    ("c2d", "C2D AMD Instance"),
    ("c3", "C3 Instance"),
    ("c3d", "C3D Instance"),
    ("c4", "C4 Instance"),
    ("c4a", "C4A Arm Instance"),
    ("c4d", "C4D Instance"),
    ("e2", "E2 Instance"),
    ("h3", "H3 Instance"),
    ("n1", "N1 Predefined Instance"),
    ("n2", "N2 Instance"),
    ("n2d", "N2D AMD Instance"),
    ("n4", "N4 Instance"),
    ("n4a", "N4A Instance"),
    ("n4d", "N4D Instance"),
    ("t2a", "T2A Arm Instance"),
    ("t2d", "T2D AMD Instance"),
    ("c4n", "C4N Instance"),
];

/// Shapes that are sold by these parts alone. With more words in the name there is more in the machine (`-lssd`), and
/// `e2-medium` and its like have parts of processors.
const SHAPES: [&str; 3] = ["standard", "highmem", "highcpu"];

/// How the descriptions of a type's parts begin; else why there are none.
pub(super) fn words_of(machine_type: &str) -> Result<&'static str, String> {
    let (series, shape, count) = match machine_type.split('-').collect::<Vec<_>>()[..] {
        [series, shape, count] => (series, shape, count),
        _ => return Err(not_plain(machine_type)),
    };
    if !SHAPES.contains(&shape) || count.parse::<u32>().is_err() {
        return Err(not_plain(machine_type));
    }
    let known = SERIES.iter().find(|(name, _)| *name == series).map(|(_, words)| *words);
    known.ok_or_else(|| {
        format!("the series {series} is not known to cost its vCPUs and memory and nothing else")
    })
}

fn not_plain(machine_type: &str) -> String {
    format!(
        "{machine_type} is no standard, highmem or highcpu type of a series: its price is not that of vCPUs and memory alone"
    )
}
