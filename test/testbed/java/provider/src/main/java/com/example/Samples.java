package com.example;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.util.Arrays;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;

/** Users made from nothing but an id, so that a test can say what must come back. */
final class Samples {
    private Samples() {
    }

    static User user(long id) {
        User user = person(id);
        user.setParent(person(id + 1));
        return user;
    }

    private static User person(long id) {
        User user = new User();
        user.setId(id);
        user.setName("user-" + id);
        user.setNickname(null);
        user.setAge((int) (id % 100));
        user.setLevel((short) 7);
        user.setRank((byte) 3);
        user.setRatio(0.5f);
        user.setScore(99.25);
        user.setActive(true);
        user.setGrade('A');
        user.setGender(Gender.FEMALE);
        user.setBalance(new BigDecimal("12345678901234567890.10"));
        user.setSerial(new BigInteger("123456789012345678901234567890"));
        user.setCreatedAt(new Date(1_700_000_000_123L));
        user.setBirthday(LocalDate.of(1990, 2, 28));
        user.setUpdatedAt(LocalDateTime.of(2024, 2, 29, 12, 30, 15, 250_000_000));
        user.setTags(Arrays.asList("red", "grün", "蓝", "😀"));
        Map<String, Integer> counters = new LinkedHashMap<>();
        counters.put("visits", 12);
        counters.put("orders", 3);
        user.setCounters(counters);
        user.setAddress(address("Main Street", 1));
        user.setHistory(new Address[] {address("Old Road", 2), address("Older Road", 3)});
        user.setAddresses(List.of(address("First", 10), address("Second", 20)));
        user.setRoles(new LinkedHashSet<>(List.of("admin", "reader")));
        user.setAvatar(new byte[] {0, 1, 2, (byte) 0xff});
        user.setLucky(new int[] {7, 13, 21});
        user.setPoints(9_007_199_254_740_993L);
        user.setVisits(null);
        user.setVerified(Boolean.TRUE);
        return user;
    }

    private static Address address(String street, int number) {
        Address address = new Address();
        address.setStreet(street);
        address.setCity("Springfield");
        address.setNumber(number);
        address.setHome(number == 1);
        return address;
    }
}
