"""Measured weights in the domain: each new file gets a passport, by which its relatives are found."""

from features.weights import passports
from registry.kernel.seams import Feature

FEATURE = Feature(
    every_hour=(passports.compute_populations,),
    read_weights=passports.measure,
    files_gone=passports.forget,
    relatives=passports.relatives_of_files,
)
