"""Small valid OneRoster packages in which every file of a version is filled, and ways to break one thing in them."""

from __future__ import annotations

import csv
import io
import os
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Row = dict[str, str]

_SHARED = {
    "academicSessions": """
        sourcedId,title,type,startDate,endDate,parentSourcedId,schoolYear
        y1,2025,schoolYear,2025-08-01,2026-08-01,,2026
        t1,2025,term,2025-08-01,2026-08-01,y1,2026
        g1,2025,gradingPeriod,2025-08-01,2026-08-01,t1,2026""",
    "classes": """
        sourcedId,title,grades,courseSourcedId,classCode,classType,location,schoolSourcedId,termSourcedIds,subjects,subjectCodes,periods
        k1,Algebra,,c1,alg,scheduled,,s1,t1,"Maths,Logic","10,11",""",
    "classResources": """
        sourcedId,title,classSourcedId,resourceSourcedId
        kr1,Slides,k1,v1""",
    "courses": """
        sourcedId,schoolYearSourcedId,title,courseCode,grades,orgSourcedId,subjects,subjectCodes
        c1,y1,Algebra,alg,,d1,,""",
    "courseResources": """
        sourcedId,title,courseSourcedId,resourceSourcedId
        cr1,Book,c1,v1""",
    "demographics": """
        sourcedId,birthDate,sex,americanIndianOrAlaskaNative,asian,blackOrAfricanAmerican,nativeHawaiianOrOtherPacificIslander,white,demographicRaceTwoOrMoreRaces,hispanicOrLatinoEthnicity,countryOfBirthCode,stateOfBirthAbbreviation,cityOfBirth,publicSchoolResidenceStatus
        u1,2000-02-29,female,,true,,,false,,,,,,""",
    "enrollments": """
        sourcedId,classSourcedId,schoolSourcedId,userSourcedId,role,primary,beginDate,endDate
        e1,k1,s1,u1,student,,2025-09-01,
        e2,k1,s1,u2,student,false,,2026-08-01
        e3,k1,s1,u3,teacher,true,,""",
    "orgs": """
        sourcedId,name,type,identifier,parentSourcedId
        d1,District,district,,
        s1,"School ""A"", north",school,alg,d1""",
    "resources": """
        sourcedId,vendorResourceId,title,roles,importance,vendorId,applicationId
        v1,alg-book,Book,"student,teacher",primary,,""",
}
_OLD = {
    "categories": """
        sourcedId,title
        cat,Quiz""",
    "lineItems": """
        sourcedId,title,description,assignDate,dueDate,classSourcedId,categorySourcedId,gradingPeriodSourcedId,resultValueMin,resultValueMax
        l1,Quiz 1,,2025-08-01,2026-07-31,k1,cat,g1,0,100""",
    "results": """
        sourcedId,lineItemSourcedId,studentSourcedId,scoreStatus,score,scoreDate,comment
        r1,l1,u1,fully graded,92.50,2025-10-01,
        r2,l1,u2,fully graded,0.50,2025-10-01,""",
    "users": """
        sourcedId,enabledUser,orgSourcedIds,role,username,userIds,givenName,familyName,middleName,identifier,email,sms,phone,agentSourcedIds,grades,password
        u1,true,s1,student,u1@example.org,{Coursera:x},Ada,Zed,,,u1@example.org,,,,,
        u2,true,"s1,d1",student,u2@example.org,"{Coursera:y},{LMS:a:b}",Zoë,Zed,,,u2@example.org,,,,,
        u3,true,s1,teacher,u3@example.org,,Ada,Zed,,,,,,,,""",
}
_NEW = {
    "categories": """
        sourcedId,title,weight
        cat,Quiz,80""",
    "lineItemLearningObjectiveIds": """
        sourcedId,lineItemSourcedId,source,learningObjectiveId
        lo1,l1,case,urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e
        lo2,l1,unknown,anything""",
    "lineItems": """
        sourcedId,title,description,assignDate,dueDate,classSourcedId,categorySourcedId,academicSessionSourcedId,resultValueMin,resultValueMax,schoolSourcedId
        l1,Quiz 1,,2025-08-01,2026-07-31,k1,cat,g1,0,100,s1
        l2,Essay,,2025-08-01,2026-07-31,k1,cat,t1,,,s1""",
    "lineItemScoreScales": """
        sourcedId,title,lineItemSourcedId,scoreScaleSourcedId
        ls1,,l2,sc1""",
    "resultLearningObjectiveIds": """
        sourcedId,resultSourcedId,source,learningObjectiveId,score,textScore
        ro1,r1,ext:own,anything,0.5,""",
    "results": """
        sourcedId,lineItemSourcedId,studentSourcedId,scoreStatus,score,scoreDate,comment,textScore,classSourcedId,inProgress,incomplete,late,missing
        r1,l1,u1,fully graded,92.50,2025-10-01,,,k1,false,,,
        r2,l1,u2,fully graded,0.50,2025-10-01,,,k1,,,true,
        r3,l2,u2,ext:seen,,2025-10-01,,Pass,,,,,""",
    "resultScoreScales": """
        sourcedId,title,resultSourcedId,scoreScaleSourcedId
        rs1,,r3,sc1""",
    "roles": """
        sourcedId,userSourcedId,roleType,role,beginDate,endDate,orgSourcedId,userProfileSourcedId
        o1,u1,primary,student,,,s1,p1
        o2,u2,primary,student,2025-08-01,2026-08-01,s1,
        o3,u3,primary,teacher,,,s1,
        o4,u3,secondary,ext:coach,,,s1,
        o5,u3,primary,districtAdministrator,,,d1,""",
    "scoreScales": """
        sourcedId,title,type,orgSourcedId,courseSourcedId,classSourcedId,scoreScaleValue
        sc1,Pass or not,percent,s1,c1,k1,"{Pass:50},{Fail:0}\"""",
    "userProfiles": """
        sourcedId,userSourcedId,profileType,vendorId,applicationId,description,credentialType,username,password
        p1,u1,LMS,vendor,,,plain,u1,""",
    "userResources": """
        sourcedId,userSourcedId,orgSourcedId,classSourcedId,resourceSourcedId
        ur1,u1,s1,,v1""",
    "users": """
        sourcedId,enabledUser,username,userIds,givenName,familyName,middleName,identifier,email,sms,phone,agentSourcedIds,grades,password,userMasterIdentifier,preferredGivenName,preferredMiddleName,preferredFamilyName,primaryOrgSourcedId,pronouns
        u1,true,u1@example.org,{Coursera:x},Ada,Zed,,,u1@example.org,,,,,,,,,,s1,she
        u2,true,u2@example.org,"{Coursera:y},{LMS:a:b}",Zoë,Zed,,,u2@example.org,,,,,,,,,,,
        u3,true,u3@example.org,,Ada,Zed,,,,,,,,,,,,,,""",
}
ORDER = {
    "1.1": "academicSessions categories classes classResources courses courseResources demographics enrollments "
    "lineItems orgs resources results users",
    "1.2": "academicSessions categories classes classResources courses courseResources demographics enrollments "
    "lineItemLearningObjectiveIds lineItems lineItemScoreScales orgs resources resultLearningObjectiveIds results "
    "resultScoreScales roles scoreScales userProfiles userResources users",
}
STAMP = {"bulk": ("", ""), "delta": ("active", "2026-01-01T00:00:00.000Z")}


@dataclass
class Package:
    """A package that can be changed before it is zipped. `patches` change the bytes of a file, `after` the zip."""

    version: str
    mode: str = "bulk"
    headers: dict[str, list[str]] = field(default_factory=dict)
    rows: dict[str, list[Row]] = field(default_factory=dict)
    manifest: list[list[str]] = field(default_factory=list)
    patches: dict[str, Callable[[bytes], bytes]] = field(default_factory=dict)
    after: list[Callable[[zipfile.ZipFile], object]] = field(default_factory=list)
    compression: dict[str, int] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        status, modified = STAMP[self.mode]
        texts = _SHARED | (_OLD if self.version == "1.1" else _NEW)
        for file in ORDER[self.version].split():
            names, *rows = csv.reader(line.strip() for line in texts[file].strip().splitlines())
            self.headers[file] = [names[0], "status", "dateLastModified", *names[1:]]
            stamp = {"status": status, "dateLastModified": modified}
            self.rows[file] = [dict(zip(names, row, strict=True)) | stamp for row in rows]
        self.manifest = [["manifest.version", "1.0"], ["oneroster.version", self.version]]
        self.manifest += [[f"file.{file}", self.mode] for file in self.rows]

    def row(self, file: str, sourced_id: str) -> Row:
        return next(row for row in self.rows[file] if row["sourcedId"] == sourced_id)

    def put(self, file: str, sourced_id: str, **cells: str) -> None:
        self.row(file, sourced_id).update(cells)

    def copy(self, file: str, sourced_id: str, **cells: str) -> None:
        self.rows[file].append(self.row(file, sourced_id) | cells)

    def delete(self, file: str, *sourced_ids: str) -> None:
        self.rows[file] = [row for row in self.rows[file] if row["sourcedId"] not in sourced_ids]

    def absent(self, *files: str) -> None:
        for file in files:
            self.left_out.add(file)
            self.declare(file, "absent")

    def declare(self, file: str, mode: str) -> None:
        next(row for row in self.manifest if row[0] == f"file.{file}")[1] = mode

    def patch(self, file: str, old: str, new: str) -> None:
        def change(data: bytes) -> bytes:
            assert old.encode("latin-1") in data
            return data.replace(old.encode("latin-1"), new.encode("latin-1"), 1)

        self.patches[file] = change

    def bytes_of(self, file: str) -> bytes:
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        if file == "manifest":
            writer.writerows([["propertyName", "value"], *self.manifest])
        else:
            names = self.headers[file]
            writer.writerows([names, *([row.get(name, "") for name in names] for row in self.rows[file])])
        data = text.getvalue().encode()
        return self.patches[file](data) if file in self.patches else data

    def write(self, path: Path) -> Path:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in ("manifest", *self.rows):
                if file not in self.left_out:
                    archive.writestr(f"{file}.csv", self.bytes_of(file), self.compression.get(file))
            for change in self.after:
                change(archive)
        return path


def large(path: Path, size: int) -> Path:
    """Write a file that looks like a package of connect, filled with random bytes, which cannot be compressed."""
    with zipfile.ZipFile(path, "w") as archive:
        manifest = b"propertyName,value\r\nmanifest.version,1.0\r\noneroster.version,1.1\r\n"
        for name, content in (("manifest.csv", manifest), ("users.csv", os.urandom(size))):
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
    return path
