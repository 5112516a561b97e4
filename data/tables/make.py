#!/usr/bin/env python3
"""Writes regression.csv and tabular.csv beside itself: synthetic, from a fixed seed, with the standard library.

    python3 data/tables/make.py

Prints how good a prediction can be that knows the rule: the noise's share of the variance, and the share of rows
whose likeliest class is theirs.
"""

import csv
import math
import random
from pathlib import Path

HERE = Path(__file__).resolve().parent


def write(name, header, rows):
    with open(HERE / name, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def solar():
    """The power of a solar roof: a product of angles, clouds and heat, none of it linear."""
    random_ = random.Random(20240607)
    rows, powers, noises = [], [], []
    for _ in range(1200):
        elevation = round(random_.uniform(5, 65), 1)
        azimuth = round(random_.uniform(-90, 90), 1)
        clouds = round(random_.betavariate(0.8, 0.8), 2)
        temperature = round(8 + 0.25 * elevation - 6 * clouds + random_.gauss(0, 5), 1)
        wind = round(random_.weibullvariate(4, 1.8), 1)
        area = random_.randrange(10, 61)
        up, side = math.radians(elevation), math.radians(azimuth)
        tilt = math.radians(35)
        angle = max(0.0, math.sin(up) * math.cos(tilt) + math.cos(up) * math.sin(tilt) * math.cos(side))
        light = 1.05 * 0.7 ** ((1 / math.sin(up)) ** 0.678) * angle * (1 - 0.75 * clouds**2) + 0.08 * clouds
        heat = temperature + 28 * light - 1.5 * wind
        power = area * 0.2 * light * (1 - 0.004 * (heat - 25))
        noise = random_.gauss(0, 0.15)
        rows.append([elevation, azimuth, clouds, temperature, wind, area, round(power + noise, 3)])
        powers.append(power)
        noises.append(noise)
    header = ["sun_elevation", "sun_azimuth", "clouds", "temperature", "wind", "area", "power"]
    write("regression.csv", header, rows)
    mean = sum(powers) / len(powers)
    total = sum((p + n - mean) ** 2 for p, n in zip(powers, noises))
    print(f"regression: noise is {sum(n * n for n in noises) / total:.4f} of the variance")


def garden():
    """How a bed of vegetables turns out: soil, watering and variety set what rain and sun it wants."""
    random_ = random.Random(20240608)
    soils = {"clay": 0.8, "loam": 0.0, "sand": -0.9, "peat": 0.4}
    watering = {"none": -0.6, "can": 0.0, "drip": 0.7}
    varieties = {"early": (-0.3, 0.5), "middle": (0.1, 0.0), "late": (0.6, -0.5)}
    rows, right = [], 0
    for _ in range(1500):
        soil, water = random_.choice(list(soils)), random_.choice(list(watering))
        variety = random_.choice(list(varieties))
        rain = round(random_.gammavariate(6, 70))
        sun = round(random_.uniform(3, 11), 1)
        temperature = round(random_.gauss(17, 3), 1)
        acidity = round(random_.gauss(6.4, 0.7), 1)
        wants_sun, wants_warmth = varieties[variety]
        wet = (rain - 420) / 170 + soils[soil] + watering[water]
        bright = (sun - 7) / 2.3 - wants_sun
        warm = (temperature - 17) / 3 + wants_warmth
        score = 1.2 - 1.4 * wet**2 + 0.7 * bright - 0.6 * warm**2 + 0.6 * (acidity - 6.4)
        logits = {"good": 4.0 * score, "fair": 1.5, "poor": -3.0 * score - 5.0}
        weights = [math.exp(v) for v in logits.values()]
        result = random_.choices(list(logits), weights)[0]
        right += result == max(logits, key=logits.get)
        rows.append([soil, water, variety, rain, sun, temperature, acidity, result])
    header = ["soil", "watering", "variety", "rain", "sun", "temperature", "acidity", "harvest"]
    write("tabular.csv", header, rows)
    counts = {c: sum(r[-1] == c for r in rows) for c in logits}
    print(f"tabular: {counts}; the likeliest class is right in {right / len(rows):.4f} of the rows")


if __name__ == "__main__":
    solar()
    garden()
