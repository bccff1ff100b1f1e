"""Published values beside which a report puts its own: plain statements with their source, never a diagnosis."""

from __future__ import annotations

COBB = "scoliosis from 10°, standing (Scoliosis Research Society)"

KYPHOSIS = "37° from T3 to T12, standing (Bernhardt and Bridwell 1989, Spine 14:717-721)"

LORDOSIS_L1_L5 = "43° standing (Vialle et al. 2005, J Bone Joint Surg Am 87:260-267)"

LORDOSIS_L1_S1 = "37 ± 13° from T12 to S1 lying, 50 ± 11° standing (Yukawa et al. 2019, Asian Spine J 13:663-671)"

L1_BY_AGE = (
    "HU of L1 in adults: 226 ± 44 under 30 years, 2.5 less for every year, 89 ± 38 from 90 years on"
    " (Jang et al. 2019, Radiology 291:360-367; 20 374 scans at 120 kV)"
)
